"""The loop: observe, decide, act, report.

A pass follows every finalised block, every change of a round or the Validator, and every end of a submission, and there
is one at least every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, ValidatorSpec, WeightsMode
from bitagent_kube.health import Health
from bitagent_kube.informer import Informer
from bitagent_kube.resources import VALIDATORS
from bitagent_validator.chain.connection import ChainUnavailable, Connection, SubnetNotFound
from bitagent_validator.chain.facts import Account as AccountFacts
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.follower import Down, Follower, Up
from bitagent_validator.competitions.competition import CompetitionController, CompetitionStatus
from bitagent_validator.discovery.controller import DiscoveryController
from bitagent_validator.objects import ValidatorObject, parse_validator
from bitagent_validator.online.controller import OnlineController
from bitagent_validator.running.gauges import Gauges
from bitagent_validator.running.status import StatusInputs, compute_status
from bitagent_validator.services import Services
from bitagent_validator.state.store import StateUnreadable
from bitagent_validator.troubles import Troubles
from bitagent_validator.wallet import Account, load_hotkey
from bitagent_validator.weights.computed import ComputedWeights, compute_weights
from bitagent_validator.weights.plan import Decision, Step, permit_problem
from bitagent_validator.weights.setter import HotkeyChanged, WeightSetter
from bitagent_wire.hotkey_file import HotkeyFileError

log = logging.getLogger(__name__)

TICK_SECONDS = 10.0
"""Maximum time between two passes."""
FACTS_SECONDS = 10.0
"""Minimum time between two reads of the subnet while the weights are current; otherwise it is read at every block."""
FACTS_BLOCKS = 3
"""The same in blocks: public endpoints limit the requests of one address."""
ACCOUNT_SECONDS = 300.0
"""Time between two reads of what is only reported."""
END_SECONDS = 5.0
"""Time limit of the last report: the process is ended soon after."""
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
        setter_of: Callable[[int], WeightSetter],
        competitions: CompetitionController,
        discovery: DiscoveryController,
        online: OnlineController,
        health: Health,
        wake: asyncio.Event,
        secret: Callable[[], list[str]] = list,
        secret_used: list[str] | None = None,
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
        self._troubles = Troubles(services.metrics, beat=health.beat, ends=(SpecChanged, HotkeyChanged))
        self._subnet: Subnet | None = None
        self._subnet_missing = False
        self._read_at = 0.0
        self._chain_account: tuple[AccountFacts, float] | None = None
        """What is reported about the account, and when it was read."""
        self._rounds: dict[str, CompetitionStatus] = {}
        self._weights: dict[int, tuple[ComputedWeights, Decision]] = {}
        """By mechanism."""
        self._state_problem = ""
        self._written: tuple[dict[str, Any], float] = ({}, 0.0)
        """The status that was written last, and when."""
        self._gauges = Gauges(services.metrics)

    async def run(self) -> None:
        """Loop until cancelled.

        Raises SpecChanged if the Validator's subnet or endpoints are not those in use, and HotkeyChanged if the hotkey
        file holds another key. Nothing else that a pass meets ends the loop.
        """
        while True:
            self._wake.clear()
            try:
                await self._pass()
            except (SpecChanged, HotkeyChanged):
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
                await self._report(me, me.spec, self._follower.state)

    async def _pass(self) -> None:
        me = self._validators.objects.get(self._name)
        if me is None or me.spec is None or not self._services.rounds.synced:
            return
        if (me.spec.netuid, me.spec.chain) != (self._started_with.netuid, self._started_with.chain):
            raise SpecChanged("spec.netuid or spec.chain was changed")
        check_key(self._account)
        if me.spec.suspend or me.spec.weights.mode is not WeightsMode.SET:
            # From then on no weights may be set, not even by a submission in progress, also while the chain is away.
            await self.stop()
        self._troubles.forget(_parts(me.spec))
        async with self._troubles.contained("endpoints", rest=False):
            if self._secret() != self._secret_used:
                raise SpecChanged("the Secret of spec.chain.endpointsSecretRef was changed")
        chain = self._follower.state
        self._state_problem = ""
        async with self._troubles.contained("state", rest=False):
            try:
                await self._services.store.load(c.id for c in me.spec.competitions)
            except StateUnreadable as error:
                self._state_problem = str(error)
                raise
        loaded = not self._troubles.failed("state")
        if isinstance(chain, Up):
            self._health.ready = True
            try:
                if loaded:
                    await self._check_chain(chain.connection)
                    await self._step(me, me.spec, chain)
                await self._measure_account(me.spec, chain)
            except ChainUnavailable as error:
                log.warning("%s", error)
                self._follower.mark_unusable(chain.connection, error=error)
                chain = Down(error.reason, str(error))
        if self._follower.attempted:
            self._measure(me.spec, chain)
            async with self._troubles.contained("status", rest=False):
                await self._report(me, me.spec, chain)
        outcome = "part_failed" if self._troubles.text else "ok"
        self._services.metrics.passes.labels(outcome).inc()
        if outcome == "ok" and isinstance(chain, Up):
            self._services.metrics.last_whole_pass.set(time.time())

    async def _check_chain(self, connection: Connection) -> None:
        """Record which chain this is, and refuse any other: blocks, scores and weights of two must never be mixed.

        Raises ChainUnavailable if it is another chain.
        """
        store = self._services.store
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

    async def _step(self, me: ValidatorObject, spec: ValidatorSpec, chain: Up) -> None:
        """Record results, set weights, then take care of rounds: a setting that is due waits for no round."""
        state = self._services.store.state
        settled = bool(self._weights) and all(d.current for _, d in self._weights.values()) and not state.pending
        subnet = await self._read(spec, chain, urgent=not settled)
        if subnet is None or spec.suspend:
            return
        for competition in spec.competitions:
            part = f"competition {competition.id}, results"
            if not self._troubles.resting(part):
                async with self._troubles.contained(part):
                    await self._competitions.record_scores(competition, subnet)
        for gone in self._setters.keys() - set(_mechanisms(spec)):
            await self._setters.pop(gone).stop()
            self._weights.pop(gone, None)
        for mechanism in _mechanisms(spec):
            # Another attempt soon: a setting may be due.
            async with self._troubles.contained(f"weights {mechanism}", rest=False):
                await self._weigh(mechanism, me, spec, chain)
        blocked = rounds_obstacle(spec, subnet)
        away: list[ChainUnavailable] = []
        if not self._troubles.resting("discovery"):
            try:
                async with self._troubles.contained("discovery"):
                    await self._discovery.reconcile(me, subnet, connection=chain.connection)
            except ChainUnavailable as error:
                away.append(error)
        for competition in spec.competitions:
            part = f"competition {competition.id}, online"
            if not self._troubles.resting(part):
                async with self._troubles.contained(part):
                    await self._online.reconcile(me, competition, subnet, connection=chain.connection, blocked=blocked)
        for competition in spec.competitions:
            part = f"competition {competition.id}, rounds"
            if self._troubles.resting(part):
                continue
            try:
                await self._start_rounds(part, me, competition, block=subnet.block, chain=chain, blocked=blocked)
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
        subnet = self._subnet
        if subnet is None:
            return
        setter = self._setters.get(mechanism)
        if setter is None:
            setter = self._setters[mechanism] = self._setter_of(mechanism)
        computed, decision = await self._decide(mechanism, me, spec, subnet, chain)
        if decision.step is Step.SUBMIT and subnet.block < chain.block:
            # Slots may have changed hands since that block: weights are submitted by the newest facts.
            subnet = await self._read(spec, chain, urgent=True)
            if subnet is None:
                return
            computed, decision = await self._decide(mechanism, me, spec, subnet, chain)
        decision = await setter.step(
            spec,
            computed,
            subnet.on(mechanism),
            connection=chain.connection,
            accepts=me.accepts,
            skew=chain.skew,
        )
        self._weights[mechanism] = (computed, decision)

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
            computed = compute_weights(own, standings=standings, subnet=view, weights=spec.weights, held=held)
        setter = self._setters[mechanism]
        return computed, setter.decide(spec, computed, subnet.on(mechanism), accepts=me.accepts, skew=chain.skew)

    async def _read(self, spec: ValidatorSpec, chain: Up, *, urgent: bool) -> Subnet | None:
        """Return the subnet at the last finalised block, or a little older unless urgent; None if there is none."""
        now = asyncio.get_running_loop().time()
        old = self._subnet
        pause = max(FACTS_SECONDS, FACTS_BLOCKS * chain.connection.block_seconds)
        known = old is not None and (old.me is None or old.mechanisms.keys() >= set(_mechanisms(spec)))
        if old and known and (old.block == chain.block or (not urgent and now - self._read_at < pause)):
            return old
        try:
            self._subnet = await chain.connection.subnet(
                spec.netuid, hotkey=self._account.hotkey, block=chain.block, mechanisms=_mechanisms(spec)
            )
        except SubnetNotFound:
            self._subnet, self._subnet_missing = None, True
            return None
        self._subnet_missing, self._read_at = False, now
        return self._subnet

    async def _report(self, me: ValidatorObject, spec: ValidatorSpec, chain: Up | Down) -> None:
        state = self._services.store.state
        computed = [each for each, _ in self._weights.values()]
        inputs = StatusInputs(
            generation=me.generation,
            hotkey=self._account.hotkey,
            block=chain.block if isinstance(chain, Up) else self._subnet.block if self._subnet else None,
            chain_problem=(chain.reason, chain.message) if isinstance(chain, Down) else None,
            endpoint=chain.connection.endpoint if isinstance(chain, Up) else "",
            subnet=self._subnet,
            subnet_missing=self._subnet_missing,
            competitions=[self._rounds[c.id] for c in spec.competitions if c.id in self._rounds],
            decision=self._decision(),
            shares=_merged(spec, {m: each.shares for m, (each, _) in self._weights.items()}),
            pay={name: pays for each in computed for name, pays in each.pay.items()},
            accepted=max(state.accepted.values(), key=lambda row: row.block, default=None),
            discovery=self._discovery.status if spec.discovery else None,
            online=self._online.status(spec.competitions),
            online_condition=self._online.condition(spec.competitions),
            suspended=spec.suspend,
            troubles=self._troubles.text,
        )
        written, at = self._written
        # The status written last is newer than the one that the watch has delivered.
        previous = (written or me.status).get("conditions") or []
        status = compute_status(inputs, previous=previous, now=datetime.now(UTC))
        body = status.to_wire()
        if not self._rounds and not self._weights:
            # Just started, and nothing was read yet: the report of the previous process stays until then.
            kept = ("uid", "currentRounds", "rounds", "weights", "unpaid", "discovery", "online", "lastWeights")
            body |= {k: me.status[k] for k in kept if k in me.status}
        now = asyncio.get_running_loop().time()
        if body == written or (_without_block(body) == _without_block(written) and now - at < BLOCK_STATUS_SECONDS):
            return
        if await self._services.client.write_status(VALIDATORS, me.name, body) is not None:
            self._written = (body, now)

    def _decision(self) -> Decision | None:
        """Return what is reported about the weights: of several mechanisms, the first that is not current."""
        if self._state_problem:
            return Decision(Step.WAIT, False, Reason.SUBMISSION_FAILED, self._state_problem)
        found = sorted(self._weights.items())
        if not found:
            return None
        mechanism, (_, decision) = next((each for each in found if not each[1][1].current), found[0])
        return replace(decision, message=f"mechanism {mechanism}: {decision.message}") if len(found) > 1 else decision

    async def _measure_account(self, spec: ValidatorSpec, chain: Up) -> None:
        """Read balance and trust now and then; what fails here is only missing in the metrics."""
        now = asyncio.get_running_loop().time()
        me = self._subnet.me if self._subnet else None
        if me is None or (self._chain_account and now - self._chain_account[1] < ACCOUNT_SECONDS):
            return
        async with self._troubles.contained("account"):
            self._chain_account = (await chain.connection.account(spec.netuid, me), now)

    def _measure(self, spec: ValidatorSpec, chain: Up | Down) -> None:
        """Set the gauges by what the chain says, also if no status can be written."""
        self._gauges.measure(
            spec,
            chain=chain,
            subnet=self._subnet,
            decision=self._decision(),
            paid=len(_merged(spec, {m: each.shares for m, (each, _) in self._weights.items()})),
            pays_of={name: pays for each, _ in self._weights.values() for name, pays in each.pay.items()},
            account=self._chain_account[0] if self._chain_account else None,
            reconnects=self._follower.reconnects,
        )


def _without_block(status: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in status.items() if k != "block"}


def _mechanisms(spec: ValidatorSpec) -> list[int]:
    return sorted({competition.mechanism for competition in spec.competitions})


def _parts(spec: ValidatorSpec) -> set[str]:
    """Return the names of all parts of a pass."""
    found = {"state", "status", "account", "discovery", "endpoints"} | {
        f"weights {mechanism}" for mechanism in _mechanisms(spec)
    }
    parts = ("results", "rounds", "online")
    return found | {f"competition {c.id}, {part}" for c in spec.competitions for part in parts}


def _merged(spec: ValidatorSpec, shares: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Return the shares of all mechanisms together, each by the reward share of its competitions."""
    of_mechanism = {m: sum(c.reward_share for c in spec.competitions if c.mechanism == m) for m in shares}
    total = sum(of_mechanism[m] for m, by_hotkey in shares.items() if by_hotkey)
    merged: dict[str, float] = {}
    for mechanism, by_hotkey in sorted(shares.items()):
        for hotkey, share in by_hotkey.items():
            merged[hotkey] = merged.get(hotkey, 0.0) + share * of_mechanism[mechanism] / total
    return merged


def rounds_obstacle(spec: ValidatorSpec, subnet: Subnet) -> str:
    """Return why no round is to be started, as its weights could not be set; empty if it may be."""
    if spec.rounds_without_permit or spec.weights.mode is not WeightsMode.SET:
        return ""
    if subnet.me is None:
        return f"hotkey {subnet.hotkey} is not registered on subnet {subnet.netuid}"
    problem = permit_problem(subnet, subnet.me)
    return problem[1] if problem else ""


def check_key(account: Account) -> None:
    """Raise HotkeyChanged if the hotkey file holds another key than at the start, as after a rotation."""
    try:
        now = load_hotkey(account.hotkey_file).ss58_address
    except HotkeyFileError:
        return  # While a file is replaced it may be away; a submission would say so.
    if now != account.hotkey:
        raise HotkeyChanged(f"the hotkey file now holds {now}, not {account.hotkey}")
