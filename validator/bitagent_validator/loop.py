"""The loop: observe, decide, act, report; again on every finalised block, change of a round, or every few seconds."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import LastWeights, ValidatorSpec, ValidatorStatus, WeightsMode
from bitagent_validator.chain.connection import ChainUnavailable, Connection, SubnetNotFound
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.follower import Down, Follower, Up
from bitagent_validator.competitions import Competitions, Tools
from bitagent_validator.health import Health
from bitagent_validator.kube import ApiError, path
from bitagent_validator.mirror import Mirror
from bitagent_validator.payer import Account, Computed, Payer, compute
from bitagent_validator.seen import ValidatorObject
from bitagent_validator.state import AcceptedRow, StateUnreadable
from bitagent_validator.status import Picture, Standing, manifest, status_of
from bitagent_validator.weights.plan import Step, Verdict

log = logging.getLogger(__name__)

TICK_SECONDS = 10.0
"""Longest time between two passes."""
FACTS_SECONDS = 10.0
"""While the weights are current the subnet is read no more often than this; otherwise at every block."""
BLOCK_STATUS_SECONDS = 10.0
"""A status that differs by its block number alone is written no more often than this."""


class SpecChanged(Exception):
    """The process was started for another subnet or other endpoints; a new one must take over."""


class Loop:
    """One Validator's loop."""

    def __init__(
        self,
        *,
        account: Account,
        spec: ValidatorSpec,
        me: Mirror[ValidatorObject],
        name: str,
        tools: Tools,
        follower: Follower,
        payer: Payer,
        competitions: Competitions,
        health: Health,
        wake: asyncio.Event,
    ) -> None:
        self._account = account
        self._started_with = spec
        self._me = me
        self._name = name
        self._tools = tools
        self._follower = follower
        self._payer = payer
        self._competitions = competitions
        self._health = health
        self._wake = wake
        self._subnet: Subnet | None = None
        self._subnet_missing = False
        self._read_at = 0.0
        self._standings: list[Standing] = []
        self._computed = Computed({}, None)
        self._verdict: Verdict | None = None
        self._written: tuple[dict[str, Any], float] = ({}, 0.0)
        self._reconnects = 0

    async def run(self) -> None:
        """Loop until cancelled.

        Raises:
            SpecChanged: The Validator's subnet or endpoints are not those that this process uses.
        """
        while True:
            self._wake.clear()
            try:
                await self._pass()
                self._tools.metrics.passes.labels("ok").inc()
            except ApiError as error:
                log.warning("pass broken off: %s", error)
                self._tools.metrics.passes.labels("api_error").inc()
            except StateUnreadable as error:
                log.error("%s", error)
                self._tools.metrics.passes.labels("state_unreadable").inc()
            self._health.beat()
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _pass(self) -> None:
        me = self._me.objects.get(self._name)
        if me is None or me.spec is None or not self._tools.rounds.synced:
            return
        if (me.spec.netuid, me.spec.chain) != (self._started_with.netuid, self._started_with.chain):
            raise SpecChanged("spec.netuid or spec.chain was changed")
        if me.spec.suspend or me.spec.weights.mode is not WeightsMode.SET:
            # Who says so wants nothing set from then on, not even what is under way, whatever the chain does.
            await self._payer.stop()
        chain = self._follower.state
        try:
            await self._tools.store.load()
        except StateUnreadable as error:
            self._verdict = Verdict(Step.WAIT, False, Reason.SUBMISSION_FAILED, str(error))
            await self._report(me, me.spec, chain)
            raise
        if isinstance(chain, Up):
            self._health.ready = True
            try:
                await self._check_chain(chain.connection)
                await self._step(me, me.spec, chain)
            except ChainUnavailable as error:
                log.warning("%s", error)
                self._follower.give_up(chain.connection, why=str(error))
                chain = Down(Reason.CHAIN_UNREACHABLE, str(error))
        if self._follower.tried:
            await self._report(me, me.spec, chain)

    async def _check_chain(self, connection: Connection) -> None:
        """Blocks, scores and weights of two chains must never be mixed: note which one this is, and refuse others.

        Raises:
            ApiError: It could not be noted.
            ChainUnavailable: It is another chain.
        """
        store = self._tools.store
        if not store.state.genesis:
            await store.save(store.state.model_copy(update={"genesis": connection.genesis}))
        if store.state.genesis != connection.genesis:
            raise ChainUnavailable(
                f"{connection.endpoint} is another chain (genesis {connection.genesis[:18]}) than this Validator's "
                f"(genesis {store.state.genesis[:18]}): correct spec.chain.endpoints; to move to another chain, delete "
                "the Validator and create it anew"
            )

    async def _step(self, me: ValidatorObject, spec: ValidatorSpec, chain: Up) -> None:
        settled = self._verdict is not None and self._verdict.current and self._tools.store.state.pending is None
        subnet = await self._read(spec, chain, urgent=not settled)
        if subnet is None or spec.suspend:
            return
        await self._competitions.take_over_scores(spec.competitions, subnet)
        self._standings = [
            await self._competitions.run(me, c, block=chain.block, connection=chain.connection)
            for c in spec.competitions
        ]
        self._computed, self._verdict = await self._weigh(spec, subnet)
        if self._verdict.step is Step.SUBMIT and subnet.block < chain.block:
            # Slots may have changed hands since: weights go out on the newest facts.
            subnet = await self._read(spec, chain, urgent=True)
            if subnet is None:
                return
            self._computed, self._verdict = await self._weigh(spec, subnet)
        self._verdict = await self._payer.act(spec, self._computed, subnet, connection=chain.connection)

    async def _weigh(self, spec: ValidatorSpec, subnet: Subnet) -> tuple[Computed, Verdict]:
        entrants = {c.id: await self._competitions.entrants(c.id) for c in spec.competitions}
        scored = self._tools.store.state.scored
        if spec.weights.mode is WeightsMode.OFF:
            computed = Computed({}, None)
        else:
            computed = compute(spec.competitions, scored=scored, entrants=entrants, subnet=subnet)
        return computed, self._payer.verdict(spec, computed, subnet)

    async def _read(self, spec: ValidatorSpec, chain: Up, *, urgent: bool) -> Subnet | None:
        """The subnet at the last finalised block, or a few seconds older unless that is urgent."""
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
        accepted = self._tools.store.state.accepted
        picture = Picture(
            generation=me.generation,
            hotkey=self._account.hotkey,
            block=chain.block if isinstance(chain, Up) else self._subnet.block if self._subnet else None,
            chain_problem=(chain.reason, chain.message) if isinstance(chain, Down) else None,
            endpoint=chain.connection.endpoint if isinstance(chain, Up) else "",
            subnet=self._subnet,
            subnet_missing=self._subnet_missing,
            competitions=self._standings,
            verdict=self._verdict,
            weights=self._computed.weights,
            last_weights=_last_weights(accepted) if accepted else None,
            suspended=spec.suspend,
        )
        written, at = self._written
        # What was written last is newer than what the watch has told of it.
        previous = (written or {"status": me.status})["status"].get("conditions") or []
        status = status_of(picture, previous=previous, now=datetime.now(UTC))
        self._measure(status)
        body = manifest(status, name=me.name, namespace=me.namespace)
        if not self._standings:
            # Just started, and nothing was read yet: what the last process reported stands until then.
            kept = ("uid", "currentRounds", "weights", "lastWeights")
            body["status"] |= {k: me.status[k] for k in kept if k in me.status}
        now = asyncio.get_running_loop().time()
        if body == written or (_without_block(body) == _without_block(written) and now - at < BLOCK_STATUS_SECONDS):
            return
        await self._tools.api.apply(
            path(API_VERSION, "validators", namespace=me.namespace, name=me.name, subresource="status"), body
        )
        self._written = (body, now)

    def _measure(self, status: ValidatorStatus) -> None:
        metrics = self._tools.metrics
        holds = {c.type: c.status is ConditionStatus.TRUE for c in status.conditions}
        metrics.chain_connected.set(holds[ConditionType.CHAIN_CONNECTED])
        metrics.registered.set(holds[ConditionType.REGISTERED])
        metrics.permitted.set(holds[ConditionType.PERMITTED])
        metrics.weights_current.set(holds[ConditionType.WEIGHTS_CURRENT])
        metrics.paid_hotkeys.set(len(status.weights))
        metrics.chain_reconnects.inc(self._follower.reconnects - self._reconnects)
        self._reconnects = self._follower.reconnects
        if status.block is not None:
            metrics.finalized_block.set(status.block)
        if self._subnet and self._subnet.me:
            metrics.last_weights_block.set(self._subnet.me.last_update)
            metrics.weights_age_blocks.set((status.block or 0) - self._subnet.me.last_update)


def _last_weights(accepted: AcceptedRow) -> LastWeights:
    return LastWeights(
        block=accepted.block,
        at=accepted.at,
        rounds=list(accepted.rounds),
        digest=accepted.digest,
        extrinsic=accepted.extrinsic,
        hotkeys=accepted.hotkeys,
    )


def _without_block(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "status": {k: v for k, v in body.get("status", {}).items() if k != "block"}}
