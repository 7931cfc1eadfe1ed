"""The loop: observe, decide, act, report.

A pass follows every finalised block, every change of a round or the Validator, and every end of a submission, and there
is one at least every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.policies import Standing
from bitagent_crds.validator import ValidatorSpec, ValidatorStatus, WeightsMode
from bitagent_kube.errors import ApiError
from bitagent_kube.health import Health
from bitagent_kube.informer import Informer
from bitagent_kube.resources import VALIDATORS
from bitagent_validator.chain.connection import ChainUnavailable, Connection, SubnetNotFound
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.follower import Down, Follower, Up
from bitagent_validator.competition import CompetitionController
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.policy.interface import Pay, by_reason
from bitagent_validator.services import Services
from bitagent_validator.setter import Account, ComputedWeights, WeightSetter, compute_weights
from bitagent_validator.state import StateUnreadable
from bitagent_validator.status import CompetitionStatus, StatusInputs, compute_status
from bitagent_validator.weights.plan import Decision, Step

log = logging.getLogger(__name__)

TICK_SECONDS = 10.0
"""Maximum time between two passes."""
FACTS_SECONDS = 10.0
"""Minimum time between two reads of the subnet while the weights are current; otherwise it is read at every block."""
LOGGED_MAX = 20
"""Hotkeys of one reason in a log line."""
BLOCK_STATUS_SECONDS = 10.0
"""Minimum time between two status writes that differ in the block number only."""


class SpecChanged(Exception):
    """The Validator names another subnet or other endpoints than at the start: the process must be restarted."""


class Loop:
    """One Validator's loop."""

    def __init__(
        self,
        *,
        account: Account,
        spec: ValidatorSpec,
        validators: Informer[ValidatorObject],
        name: str,
        services: Services,
        follower: Follower,
        setter: WeightSetter,
        competitions: CompetitionController,
        health: Health,
        wake: asyncio.Event,
    ) -> None:
        self._account = account
        self._started_with = spec
        self._validators = validators
        self._name = name
        self._services = services
        self._follower = follower
        self._setter = setter
        self._competitions = competitions
        self._health = health
        self._wake = wake
        self._subnet: Subnet | None = None
        self._subnet_missing = False
        self._read_at = 0.0
        self._rounds: list[CompetitionStatus] = []
        self._computed = ComputedWeights({}, None)
        self._decision: Decision | None = None
        self._written: tuple[dict[str, Any], float] = ({}, 0.0)
        """The status that was written last, and when."""
        self._reconnects = 0
        self._unpaid: dict[str, Mapping[Standing, Sequence[str]]] = {}
        """By competition: the hotkeys that earned nothing when it was last logged."""

    async def run(self) -> None:
        """Loop until cancelled. Raises SpecChanged if the Validator's subnet or endpoints are not those in use."""
        while True:
            self._wake.clear()
            try:
                await self._pass()
                self._services.metrics.passes.labels("ok").inc()
            except ApiError as error:
                log.warning("pass interrupted: %s", error)
                self._services.metrics.passes.labels("api_error").inc()
            except StateUnreadable as error:
                log.error("%s", error)
                self._services.metrics.passes.labels("state_unreadable").inc()
            self._health.beat()
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _pass(self) -> None:
        me = self._validators.objects.get(self._name)
        if me is None or me.spec is None or not self._services.rounds.synced:
            return
        if (me.spec.netuid, me.spec.chain) != (self._started_with.netuid, self._started_with.chain):
            raise SpecChanged("spec.netuid or spec.chain was changed")
        if me.spec.suspend or me.spec.weights.mode is not WeightsMode.SET:
            # From then on no weights may be set, not even by a submission in progress, also while the chain is away.
            await self._setter.stop()
        chain = self._follower.state
        try:
            await self._services.store.load()
        except StateUnreadable as error:
            self._decision = Decision(Step.WAIT, False, Reason.SUBMISSION_FAILED, str(error))
            await self._report(me, me.spec, chain)
            raise
        if isinstance(chain, Up):
            self._health.ready = True
            try:
                await self._check_chain(chain.connection)
                await self._step(me, me.spec, chain)
            except ChainUnavailable as error:
                log.warning("%s", error)
                self._follower.mark_unusable(chain.connection, why=str(error))
                chain = Down(Reason.CHAIN_UNREACHABLE, str(error))
        if self._follower.attempted:
            await self._report(me, me.spec, chain)

    async def _check_chain(self, connection: Connection) -> None:
        """Record which chain this is, and refuse any other: blocks, scores and weights of two must never be mixed.

        Raises ApiError if it cannot be recorded, and ChainUnavailable if it is another chain.
        """
        store = self._services.store
        if not store.state.genesis:
            await store.save(store.state.model_copy(update={"genesis": connection.genesis}))
        if store.state.genesis != connection.genesis:
            raise ChainUnavailable(
                f"{connection.endpoint} is another chain (genesis {connection.genesis[:18]}) than this Validator's "
                f"(genesis {store.state.genesis[:18]}): correct spec.chain.endpoints; to move to another chain, delete "
                "the Validator and create it again"
            )

    async def _step(self, me: ValidatorObject, spec: ValidatorSpec, chain: Up) -> None:
        settled = self._decision is not None and self._decision.current and self._services.store.state.pending is None
        subnet = await self._read(spec, chain, urgent=not settled)
        if subnet is None or spec.suspend:
            return
        await self._competitions.record_scores(spec.competitions, subnet)
        self._rounds = [
            await self._competitions.reconcile(me, c, block=chain.block, connection=chain.connection)
            for c in spec.competitions
        ]
        self._computed, self._decision = await self._decide(spec, subnet)
        if self._decision.step is Step.SUBMIT and subnet.block < chain.block:
            # Slots may have changed hands since that block: weights are submitted by the newest facts.
            subnet = await self._read(spec, chain, urgent=True)
            if subnet is None:
                return
            self._computed, self._decision = await self._decide(spec, subnet)
        self._decision = await self._setter.step(spec, self._computed, subnet, connection=chain.connection)

    async def _decide(self, spec: ValidatorSpec, subnet: Subnet) -> tuple[ComputedWeights, Decision]:
        standings = {c.id: await self._competitions.standings(c, block=subnet.block) for c in spec.competitions}
        if spec.weights.mode is WeightsMode.OFF:
            computed = ComputedWeights({}, None)
        else:
            computed = compute_weights(spec.competitions, standings=standings, subnet=subnet)
        return computed, self._setter.decide(spec, computed, subnet)

    async def _read(self, spec: ValidatorSpec, chain: Up, *, urgent: bool) -> Subnet | None:
        """Return the subnet at the last finalised block, or a little older unless urgent; None if there is none."""
        now = asyncio.get_running_loop().time()
        old = self._subnet
        if old and (old.block == chain.block or (not urgent and now - self._read_at < FACTS_SECONDS)):
            return old
        try:
            self._subnet = await chain.connection.subnet(spec.netuid, hotkey=self._account.hotkey, block=chain.block)
        except SubnetNotFound:
            self._subnet, self._subnet_missing = None, True
            return None
        self._subnet_missing, self._read_at = False, now
        return self._subnet

    async def _report(self, me: ValidatorObject, spec: ValidatorSpec, chain: Up | Down) -> None:
        inputs = StatusInputs(
            generation=me.generation,
            hotkey=self._account.hotkey,
            block=chain.block if isinstance(chain, Up) else self._subnet.block if self._subnet else None,
            chain_problem=(chain.reason, chain.message) if isinstance(chain, Down) else None,
            endpoint=chain.connection.endpoint if isinstance(chain, Up) else "",
            subnet=self._subnet,
            subnet_missing=self._subnet_missing,
            competitions=self._rounds,
            decision=self._decision,
            shares=self._computed.shares,
            pay=self._computed.pay,
            accepted=self._services.store.state.accepted,
            suspended=spec.suspend,
        )
        written, at = self._written
        # The status written last is newer than the one that the watch has delivered.
        previous = (written or me.status).get("conditions") or []
        status = compute_status(inputs, previous=previous, now=datetime.now(UTC))
        self._measure(status)
        body = status.to_wire()
        if not self._rounds:
            # Just started, and nothing was read yet: the report of the previous process stays until then.
            kept = ("uid", "currentRounds", "rounds", "weights", "unpaid", "lastWeights")
            body |= {k: me.status[k] for k in kept if k in me.status}
        now = asyncio.get_running_loop().time()
        if body == written or (_without_block(body) == _without_block(written) and now - at < BLOCK_STATUS_SECONDS):
            return
        if await self._services.client.write_status(VALIDATORS, me.name, body) is not None:
            self._written = (body, now)

    def _measure(self, status: ValidatorStatus) -> None:
        metrics = self._services.metrics
        holding = {c.type: c.status is ConditionStatus.TRUE for c in status.conditions}
        metrics.chain_connected.set(holding[ConditionType.CHAIN_CONNECTED])
        metrics.registered.set(holding[ConditionType.REGISTERED])
        metrics.permitted.set(holding[ConditionType.PERMITTED])
        metrics.weights_current.set(holding[ConditionType.WEIGHTS_CURRENT])
        metrics.paid_hotkeys.set(len(status.weights))
        self._measure_unpaid()
        metrics.chain_reconnects.inc(self._follower.reconnects - self._reconnects)
        self._reconnects = self._follower.reconnects
        if status.block is not None:
            metrics.finalized_block.set(status.block)
        if self._subnet and self._subnet.me:
            metrics.last_weights_block.set(self._subnet.me.last_update)
            metrics.weights_age_blocks.set((status.block or 0) - self._subnet.me.last_update)

    def _measure_unpaid(self) -> None:
        """Count the hotkeys that earn nothing, and log them when they change."""
        gauge = self._services.metrics.unpaid_hotkeys
        gauge.clear()
        for competition, pays in self._computed.pay.items():
            unpaid = by_reason(pays)
            for reason, hotkeys in unpaid.items():
                gauge.labels(competition, reason.value).set(len(hotkeys))
            if unpaid != self._unpaid.get(competition):
                self._unpaid[competition] = unpaid
                log.info("%s: %d hotkeys earn; %s", competition, _paid(pays), _listed(unpaid))


def _paid(pays: Mapping[str, Pay]) -> int:
    return sum(1 for each in pays.values() if each.share)


def _listed(unpaid: Mapping[Standing, Sequence[str]]) -> str:
    """Return the hotkeys that earn nothing as one line, by reason."""
    parts = [
        f"{reason}: {', '.join(hotkeys[:LOGGED_MAX])}{' and more' * (len(hotkeys) > LOGGED_MAX)} ({len(hotkeys)})"
        for reason, hotkeys in sorted(unpaid.items())
    ]
    return f"left out: {'; '.join(parts)}" if parts else "none with a model is left out"


def _without_block(status: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in status.items() if k != "block"}
