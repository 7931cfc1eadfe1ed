"""What a pass says of itself: the status, and the gauges."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.discovery import DiscoveryStatus
from bitagent_crds.online import OnlineStatus
from bitagent_crds.validator import ValidatorSpec
from bitagent_kube.conditions import ConditionValue
from bitagent_kube.resources import VALIDATORS
from bitagent_validator.chain.follower import Down, Up
from bitagent_validator.competitions.competition import CompetitionStatus
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.running.gauges import Gauges
from bitagent_validator.running.readings import Readings
from bitagent_validator.running.status import StatusInputs, compute_status
from bitagent_validator.services import Services
from bitagent_validator.weights.computed import ComputedWeights
from bitagent_validator.weights.plan import Decision, Step

BLOCK_STATUS_SECONDS = 10.0
"""Minimum time between two status writes that differ in the block number only."""


@dataclass(frozen=True)
class Known:
    """What a pass knows when it ends."""

    chain: Up | Down
    rounds: Mapping[str, CompetitionStatus] = field(default_factory=dict)
    """By competition."""
    weights: Mapping[int, tuple[ComputedWeights, Decision]] = field(default_factory=dict)
    """By mechanism."""
    discovery: DiscoveryStatus | None = None
    online: Sequence[OnlineStatus] = ()
    online_condition: ConditionValue | None = None
    state_problem: str = ""
    """Why the state cannot be read."""
    troubles: str = ""
    """Which parts failed, and why."""

    @property
    def decision(self) -> Decision | None:
        """What is reported about the weights: of several mechanisms, the first that is not current."""
        if self.state_problem:
            return Decision(Step.WAIT, False, Reason.SUBMISSION_FAILED, self.state_problem)
        found = sorted(self.weights.items())
        if not found:
            return None
        mechanism, (_, decision) = next((each for each in found if not each[1][1].current), found[0])
        return replace(decision, message=f"mechanism {mechanism}: {decision.message}") if len(found) > 1 else decision

    def shares(self, spec: ValidatorSpec) -> dict[str, float]:
        """Return the shares of all mechanisms together, each by the reward share of its competitions."""
        by_mechanism = {mechanism: computed.shares for mechanism, (computed, _) in self.weights.items()}
        parts = {m: sum(c.reward_share for c in spec.competitions if c.mechanism == m) for m in by_mechanism}
        total = sum(parts[m] for m, by_hotkey in by_mechanism.items() if by_hotkey)
        merged: dict[str, float] = {}
        for mechanism, by_hotkey in sorted(by_mechanism.items()):
            for hotkey, share in by_hotkey.items():
                merged[hotkey] = merged.get(hotkey, 0.0) + share * parts[mechanism] / total
        return merged


class Reporter:
    """Writes the status when it has changed, and sets the gauges."""

    def __init__(self, services: Services, readings: Readings, *, hotkey: str) -> None:
        self._services = services
        self._readings = readings
        self._hotkey = hotkey
        self._gauges = Gauges(services.metrics)
        self._written: tuple[dict[str, Any], float] = ({}, 0.0)
        """The status that was written last, and when."""
        self._contradicting: frozenset[str] = frozenset()
        """The endpoints whose contradiction was posted last."""

    async def report(self, me: ValidatorObject, spec: ValidatorSpec, known: Known) -> None:
        """Write the status unless it is as it was, and post what it cannot show for long. Raises ApiError."""
        accepted = self._services.store.state.accepted
        subnet, chain = self._readings.subnet, known.chain
        inputs = StatusInputs(
            generation=me.generation,
            hotkey=self._hotkey,
            block=chain.block if isinstance(chain, Up) else subnet.block if subnet else None,
            chain_problem=(chain.reason, chain.message) if isinstance(chain, Down) else None,
            endpoint=chain.connection.endpoint if isinstance(chain, Up) else "",
            contradiction=chain.contradiction if isinstance(chain, Up) else "",
            subnet=subnet,
            subnet_missing=self._readings.missing,
            competitions=[known.rounds[c.id] for c in spec.competitions if c.id in known.rounds],
            decision=known.decision,
            shares=known.shares(spec),
            pay={name: pays for each, _ in known.weights.values() for name, pays in each.pay.items()},
            accepted=max(accepted.values(), key=lambda row: row.block, default=None),
            discovery=known.discovery,
            online=known.online,
            online_condition=known.online_condition,
            suspended=spec.suspend,
            troubles=known.troubles,
        )
        await self._post_contradiction(chain)
        written, at = self._written
        # The status written last is newer than the one that the watch has delivered.
        previous = (written or me.status).get("conditions") or []
        body = compute_status(inputs, previous=previous, now=datetime.now(UTC)).to_wire()
        if not known.rounds and not known.weights:
            # Just started, and nothing was read yet: the report of the previous process stays until then.
            kept = ("uid", "currentRounds", "rounds", "weights", "unpaid", "discovery", "online", "lastWeights")
            body |= {k: me.status[k] for k in kept if k in me.status}
        now = asyncio.get_running_loop().time()
        if body == written or (_without_block(body) == _without_block(written) and now - at < BLOCK_STATUS_SECONDS):
            return
        if await self._services.client.write_status(VALIDATORS, me.name, body) is not None:
            self._written = (body, now)

    async def _post_contradiction(self, chain: Up | Down) -> None:
        """Post which endpoints contradict the one that is used, once until others do or none does."""
        if not isinstance(chain, Up):
            return
        contradicting = frozenset(chain.contradicting)
        if contradicting - self._contradicting:
            await self._services.events.warning(Reason.CHAIN_CONTRADICTED, chain.contradiction)
        self._contradicting = contradicting

    def measure(self, spec: ValidatorSpec, known: Known, *, reconnects: int) -> None:
        """Set the gauges by what the chain says, also if no status can be written."""
        self._gauges.measure(
            spec,
            chain=known.chain,
            subnet=self._readings.subnet,
            decision=known.decision,
            paid=len(known.shares(spec)),
            pays_of={name: pays for each, _ in known.weights.values() for name, pays in each.pay.items()},
            account=self._readings.account,
            reconnects=reconnects,
            foreign=any(decision.reason is Reason.FOREIGN_WEIGHTS for _, decision in known.weights.values()),
            online=known.online_condition,
        )


def _without_block(status: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in status.items() if k != "block"}
