"""The loop: observe, decide, act, report.

A pass follows every finalised block, every change of a round or the Validator, and every end of a submission, and there
is one at least every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, ValidatorSpec, WeightsMode
from bitagent_kube.health import Health
from bitagent_kube.informer import Informer
from bitagent_kube.resources import VALIDATORS
from bitagent_validator.chain.agreement import AHEAD_BLOCKS, is_forgotten
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.follower import Down, Follower, Up
from bitagent_validator.competitions.competition import CompetitionController, CompetitionStatus
from bitagent_validator.discovery.controller import DiscoveryController
from bitagent_validator.objects import ValidatorObject, parse_validator
from bitagent_validator.online.controller import OnlineController
from bitagent_validator.running.checks import (
    HeightForgotten,
    MustRestart,
    SpecChanged,
    check_key,
    is_settled,
    parts_of,
    rounds_obstacle,
)
from bitagent_validator.running.policies import PackagePolicies
from bitagent_validator.running.readings import Readings
from bitagent_validator.running.reports import Known, Reporter
from bitagent_validator.services import Services
from bitagent_validator.state.store import StateUnreadable
from bitagent_validator.troubles import Troubles
from bitagent_validator.wallet import Account
from bitagent_validator.weights.computed import ComputedWeights, compute_weights
from bitagent_validator.weights.plan import Decision, Step
from bitagent_validator.weights.setter import HotkeyChanged, WeightSetter

log = logging.getLogger(__name__)

TICK_SECONDS = 10.0
"""Maximum time between two passes."""
END_SECONDS = 5.0
"""Time limit of the last report: the process is ended soon after."""


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
        setter_of: Callable[[int], WeightSetter],
        competitions: CompetitionController,
        discovery: DiscoveryController,
        online: OnlineController,
        health: Health,
        wake: asyncio.Event,
        secret: Callable[[], list[str]] = list,
        secret_used: list[str] | None = None,
        policies: PackagePolicies | None = None,
    ) -> None:
        self._account = account
        self._started_with = spec
        self._validators = validators
        self._name = name
        self._services = services
        self._follower = follower
        self._setter_of = setter_of
        self._setters: dict[int, WeightSetter] = {}
        """By mechanism."""
        self._competitions = competitions
        self._discovery = discovery
        self._online = online
        self._health = health
        self._wake = wake
        self._secret = secret
        """Reads the endpoints in the Secret; raises ValueError if it cannot be read."""
        self._secret_used = secret_used if secret_used is not None else []
        """Those in use."""
        self._policies = policies or PackagePolicies()
        self._troubles = Troubles(services.metrics, beat=health.beat, ends=(MustRestart, HotkeyChanged))
        self._readings = Readings(account)
        self._reporter = Reporter(services, self._readings, hotkey=account.hotkey)
        self._rounds: dict[str, CompetitionStatus] = {}
        self._weights: dict[int, tuple[ComputedWeights, Decision]] = {}
        """By mechanism."""
        self._state_problem = ""
        self._best = 0
        """The highest block at which the subnet was read."""
        self._missing_since: float | None = None
        """Since when no endpoint is at the highest block that was seen; None while one is."""

    async def run(self) -> None:
        """Loop until cancelled.

        Raises SpecChanged if the Validator's subnet or endpoints are not those in use, HeightForgotten if the subnet
        was read at a height that is not believed any more, and HotkeyChanged if the hotkey file holds another key.
        Nothing else that a pass meets ends the loop.
        """
        while True:
            self._wake.clear()
            try:
                await self._pass()
            except (MustRestart, HotkeyChanged):
                raise
            except Exception:
                # Outside of all parts; the next pass begins from what it observes.
                log.exception("a pass failed")
                self._services.metrics.passes.labels("error").inc()
            self._health.beat()
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Kill the submissions in progress."""
        for setter in self._setters.values():
            await setter.stop()

    async def report_suspended(self) -> None:
        """Report that nothing is known any longer, if the Validator is suspended: no pod will correct what is said."""
        async with self._troubles.contained("status", rest=False), asyncio.timeout(END_SECONDS):
            obj = await self._services.client.get(VALIDATORS, self._name)
            me = parse_validator(obj) if obj else None
            if me is not None and me.spec is not None and me.spec.suspend:
                await self._reporter.report(me, me.spec, self._known(me.spec, self._follower.state))

    async def _pass(self) -> None:
        me = self._validators.objects.get(self._name)
        if me is None or me.spec is None or not self._services.rounds.synced:
            return
        if (me.spec.netuid, me.spec.chain) != (self._started_with.netuid, self._started_with.chain):
            raise SpecChanged("spec.netuid or spec.chain was changed")
        if me.spec.suspend or me.spec.weights.mode is not WeightsMode.SET:
            # From then on no weights may be set, not even by a submission in progress, also while the chain is away.
            await self.stop()
        self._troubles.forget(parts_of(me.spec))
        async with self._troubles.contained("wallet", rest=False):
            check_key(self._account)
        async with self._troubles.contained("endpoints", rest=False):
            if self._secret() != self._secret_used:
                raise SpecChanged("the Secret of spec.chain.endpointsSecretRef was changed")
        chain = self._follower.state
        self._state_problem = ""
        async with self._troubles.contained("state", rest=False):
            try:
                await self._services.store.load((c.id for c in me.spec.competitions), me.spec.mechanisms)
            except StateUnreadable as error:
                self._state_problem = str(error)
                raise
        loaded = not self._troubles.failed("state")
        if isinstance(chain, Up):
            self._health.ready = True
            try:
                if loaded:
                    await self._check_chain(chain)
                    await self._step(me, me.spec, chain)
                if self._readings.account_due:
                    # What fails here is only missing in the metrics.
                    async with self._troubles.contained("account"):
                        await self._readings.read_account(me.spec, chain)
            except ChainUnavailable as error:
                log.warning("%s", error)
                self._follower.mark_unusable(chain.connection, error=error)
                chain = Down(error.reason, str(error))
        if self._follower.attempted:
            known = self._known(me.spec, chain)
            self._reporter.measure(me.spec, known, reconnects=self._follower.reconnects)
            async with self._troubles.contained("status", rest=False):
                await self._reporter.report(me, me.spec, self._known(me.spec, chain))
        outcome = "part_failed" if self._troubles.text else "ok"
        self._services.metrics.passes.labels(outcome).inc()
        if outcome == "ok" and isinstance(chain, Up):
            self._services.metrics.last_whole_pass.set(time.time())

    async def _check_chain(self, chain: Up) -> None:
        """Record which chain this is, and refuse any other: blocks, scores and weights of two must never be mixed.

        Raises ChainUnavailable if it is another chain, or an earlier block of this one: who was registered then must
        not decide whose results are recorded. Raises HeightForgotten if the later block is not believed any more.
        """
        store, connection = self._services.store, chain.connection
        if not store.state.genesis:
            async with self._troubles.contained("state"):
                await store.save(store.state.model_copy(update={"genesis": connection.genesis}))
        if store.state.genesis and store.state.genesis != connection.genesis:
            raise ChainUnavailable(
                f"{connection.endpoint} is another chain (genesis {connection.genesis[:18]}) than this Validator's "
                f"(genesis {store.state.genesis[:18]}): correct spec.chain.endpoints; to move to another chain, delete "
                "the Validator and create it again",
                reason=Reason.WRONG_CHAIN,
            )
        # Only what a subnet was read at: any number can be said to be a height.
        self._best = max(self._best, self._readings.subnet.block if self._readings.subnet else 0)
        seen = max([self._best, *(row.block for row in store.state.accepted.values())])
        if chain.block >= seen - AHEAD_BLOCKS:
            self._missing_since = None
            return
        now = time.monotonic()
        self._missing_since = now if self._missing_since is None else self._missing_since
        missing = now - self._missing_since
        if is_forgotten(seen, limit=chain.limit, agreed=chain.agreed, missing_seconds=missing):
            now_at = f"{connection.endpoint} is at {chain.block}"
            text = f"block {seen} was seen before, and is not believed any more: {now_at}"
            await self._services.events.warning("HeightForgotten", text, occasion=str(seen))
            await store.save(store.state.without_blocks_after(chain.limit or chain.block, present=chain.block))
            raise HeightForgotten(text)
        raise ChainUnavailable(
            f"{connection.endpoint} is at block {chain.block}, and block {seen} was seen before",
            reason=Reason.CHAIN_BEHIND,
        )

    async def _step(self, me: ValidatorObject, spec: ValidatorSpec, chain: Up) -> None:
        """Record results, set weights, then take care of rounds: a setting that is due waits for no round."""
        state = self._services.store.state
        settled = is_settled(spec, [decision for _, decision in self._weights.values()], pending=state.pending)
        subnet = await self._readings.read(spec, chain, urgent=not settled)
        if subnet is None or spec.suspend:
            return
        for competition in spec.competitions:
            part = f"competition {competition.id}, results"
            if not self._troubles.resting(part):
                async with self._troubles.contained(part):
                    await self._competitions.record_scores(competition, subnet)
        for gone in self._setters.keys() - set(spec.mechanisms):
            await self._setters.pop(gone).stop()
            self._weights.pop(gone, None)
        for mechanism in spec.mechanisms:
            # Another attempt soon: a setting may be due.
            async with self._troubles.contained(f"weights {mechanism}", rest=False):
                await self._weigh(mechanism, me, spec, chain)
        blocked = {each.id: rounds_obstacle(spec, subnet, mechanism=each.mechanism) for each in spec.competitions}
        away: list[ChainUnavailable] = []
        if not self._troubles.resting("discovery"):
            try:
                async with self._troubles.contained("discovery"):
                    await self._discovery.reconcile(
                        me, subnet, connection=chain.connection, alone=chain.alone, others=self._follower.others
                    )
            except ChainUnavailable as error:
                away.append(error)
        if not self._troubles.resting("online"):
            async with self._troubles.contained("online"):
                await self._online.forget_others(spec.competitions)
        for competition in spec.competitions:
            part = f"competition {competition.id}, online"
            if not self._troubles.resting(part):
                async with self._troubles.contained(part):
                    await self._online.reconcile(
                        me, competition, subnet, connection=chain.connection, blocked=blocked[competition.id]
                    )
        for competition in spec.competitions:
            part = f"competition {competition.id}, rounds"
            if self._troubles.resting(part):
                continue
            try:
                why = blocked[competition.id]
                await self._start_rounds(part, me, competition, block=subnet.block, chain=chain, blocked=why)
            except ChainUnavailable as error:
                # The node may lack what this competition alone asks for; a second time says that it is away.
                away.append(error)
                if len(away) > 1:
                    break
        if away:
            raise away[0]

    async def _start_rounds(
        self, part: str, me: ValidatorObject, competition: Competition, *, block: int, chain: Up, blocked: str
    ) -> None:
        async with self._troubles.contained(part):
            self._rounds[competition.id] = await self._competitions.reconcile(
                me, competition, block=block, connection=chain.connection, blocked=blocked
            )

    async def _weigh(self, mechanism: int, me: ValidatorObject, spec: ValidatorSpec, chain: Up) -> None:
        """Compute the weights of one mechanism, and carry out one step towards the chain."""
        subnet = self._readings.subnet
        if subnet is None:
            return
        setter = self._setters.get(mechanism)
        if setter is None:
            setter = self._setters[mechanism] = self._setter_of(mechanism)
        computed, decision = await self._decide(mechanism, me, spec, subnet, chain)
        if decision.step is Step.SUBMIT and subnet.block < chain.block:
            # Slots may have changed hands since that block: weights are submitted by the newest facts.
            subnet = await self._readings.read(spec, chain, urgent=True)
            if subnet is None:
                return
            computed, decision = await self._decide(mechanism, me, spec, subnet, chain)
        if not self._is_present(me):
            log.info("the spec has changed while weights were computed: the next pass, which follows, has the new one")
            return
        decision = await setter.step(
            spec,
            computed,
            subnet.on(mechanism),
            connection=chain.connection,
            accepts=me.accepts,
            skew=chain.skew,
            others=[] if chain.alone else self._follower.others,
        )
        self._weights[mechanism] = (computed, decision)

    def _is_present(self, me: ValidatorObject) -> bool:
        """Whether the Validator is still as it was when the pass began: a package's policy may take long."""
        now = self._validators.objects.get(self._name)
        return now is not None and (now.uid, now.generation) == (me.uid, me.generation)

    async def _decide(
        self, mechanism: int, me: ValidatorObject, spec: ValidatorSpec, subnet: Subnet, chain: Up
    ) -> tuple[ComputedWeights, Decision]:
        own = [c for c in spec.competitions if c.mechanism == mechanism]
        standings = {c.id: await self._competitions.standings(c, block=subnet.block) for c in own}
        if spec.weights.mode is WeightsMode.OFF:
            computed = ComputedWeights({}, None)
        else:
            held = self._services.store.state.held
            view = subnet.on(mechanism)
            answers = await self._policies.answers(own, standings, view.neurons)
            computed = compute_weights(
                own, standings=standings, subnet=view, weights=spec.weights, held=held, answers=answers
            )
        setter = self._setters[mechanism]
        return computed, setter.decide(spec, computed, subnet.on(mechanism), accepts=me.accepts, skew=chain.skew)

    def _known(self, spec: ValidatorSpec, chain: Up | Down) -> Known:
        """Return what there is to report."""
        return Known(
            chain,
            rounds=self._rounds,
            weights=self._weights,
            discovery=self._discovery.status if spec.discovery else None,
            online=self._online.status(spec.competitions),
            online_condition=self._online.condition(spec.competitions),
            state_problem=self._state_problem,
            troubles=self._troubles.text,
        )
