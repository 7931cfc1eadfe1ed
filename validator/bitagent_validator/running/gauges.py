"""The gauges of a validator, set by each pass from what the chain and the last decision say."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from bitagent_crds.conditions import ConditionStatus
from bitagent_crds.policies import Standing
from bitagent_crds.validator import ValidatorSpec, WeightsMode
from bitagent_kube.conditions import ConditionValue
from bitagent_validator.chain.facts import RAO, AccountFacts, Neuron, Subnet
from bitagent_validator.chain.follower import Down, Up
from bitagent_validator.metrics import Metrics
from bitagent_validator.policy.interface import Pay, by_reason
from bitagent_validator.weights.obstacles import permit_problem
from bitagent_validator.weights.plan import Decision

LOGGED_MAX = 20
"""Most hotkeys of one reason in a line of the log."""

log = logging.getLogger(__name__)


class Gauges:
    """Sets the gauges, and logs which hotkeys earn nothing when they change."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._reconnects = 0
        self._unpaid: dict[str, Mapping[Standing, Sequence[str]]] = {}
        """By competition: the hotkeys that earned nothing when it was last logged."""

    def measure(
        self,
        spec: ValidatorSpec,
        *,
        chain: Up | Down,
        subnet: Subnet | None,
        decision: Decision | None,
        paid: int,
        pays_of: Mapping[str, Mapping[str, Pay]],
        account: AccountFacts | None,
        reconnects: int,
        foreign: bool = False,
        online: ConditionValue | None = None,
    ) -> None:
        """Set all gauges.

        `paid`: hotkeys with a share; `pays_of`: what each hotkey earns, by competition; `foreign`: whether another
        process sets weights for the hotkey; `online`: the condition OnlineCurrent.
        """
        metrics, up = self._metrics, isinstance(chain, Up)
        me = subnet.me if subnet else None
        metrics.chain_connected.set(up)
        metrics.frozen.set(not up or spec.suspend)
        metrics.registered.set(me is not None)
        metrics.permitted.set(bool(subnet and me and permit_problem(subnet, me) is None))
        metrics.weights_current.set(bool(decision and decision.current and up and not spec.suspend))
        metrics.sets_weights.set(spec.weights.mode is WeightsMode.SET and not spec.suspend)
        metrics.foreign_weights.set(foreign and up)
        metrics.online_problem.clear()
        if online is not None and online.status is ConditionStatus.FALSE and up and not spec.suspend:
            metrics.online_problem.labels(online.reason.value).set(1)
        metrics.paid_hotkeys.set(paid)
        self._measure_unpaid(pays_of)
        metrics.chain_reconnects.inc(reconnects - self._reconnects)
        self._reconnects = reconnects
        if isinstance(chain, Up):
            metrics.finalized_block.set(chain.block)
            metrics.contradicting_endpoints.set(len(chain.contradicting))
            if chain.age is not None:
                metrics.chain_age_seconds.set(chain.age)
        if subnet and me:
            block = chain.block if isinstance(chain, Up) else subnet.block
            last = _oldest_update(subnet, me)
            metrics.last_weights_block.set(last)
            metrics.weights_age_blocks.set(block - last)
            metrics.blocks_until_inactive.set(subnet.rules.activity_cutoff - (block - last))
            metrics.dividends.set(me.dividends)
            metrics.stake.set(me.stake / RAO)
        if account:
            metrics.coldkey_balance.set(account.balance / RAO)
            metrics.validator_trust.set(account.trust)

    def _measure_unpaid(self, pays_of: Mapping[str, Mapping[str, Pay]]) -> None:
        """Count the hotkeys that earn nothing, and log them when they change."""
        gauge = self._metrics.unpaid_hotkeys
        gauge.clear()
        for competition, pays in pays_of.items():
            unpaid = by_reason(pays)
            for reason, hotkeys in unpaid.items():
                gauge.labels(competition, reason.value).set(len(hotkeys))
            if unpaid != self._unpaid.get(competition):
                self._unpaid[competition] = unpaid
                paid = sum(1 for each in pays.values() if each.share)
                log.info("%s: %d hotkeys earn; %s", competition, paid, _listed(unpaid))


def _oldest_update(subnet: Subnet, me: Neuron) -> int:
    """Return the last update of the mechanism whose is the oldest: the chain ignores a validator in each apart."""
    updates = [facts.last_update for number, facts in subnet.mechanisms.items() if subnet.has(number)]
    return min(updates, default=me.last_update)


def _listed(unpaid: Mapping[Standing, Sequence[str]]) -> str:
    """Return the hotkeys that earn nothing as one line, by reason."""
    parts = [
        f"{reason}: {', '.join(hotkeys[:LOGGED_MAX])}{' and more' * (len(hotkeys) > LOGGED_MAX)} ({len(hotkeys)})"
        for reason, hotkeys in sorted(unpaid.items())
    ]
    return f"left out: {'; '.join(parts)}" if parts else "none with a model is left out"
