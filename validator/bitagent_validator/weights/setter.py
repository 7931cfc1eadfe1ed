"""Set the weights: compute them, compare them with the chain, and submit them when they differ.

A pass of the loop never waits for a submission: it runs beside the loop and wakes it when it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import ChainRead, ValidatorSpec
from bitagent_kube.errors import ApiError
from bitagent_kube.events import ObjectEvents
from bitagent_validator.chain.connection import ChainUnavailable, Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import Reveal, Row, Setting, counted
from bitagent_validator.state.store import StateStore
from bitagent_validator.wallet import Account
from bitagent_validator.weights.attempts import Attempts, block_of, era_blocks
from bitagent_validator.weights.computed import ComputedWeights, needs_no_round
from bitagent_validator.weights.fill import burn_target, change_between
from bitagent_validator.weights.guard import Acceptance, guard_obstacle
from bitagent_validator.weights.notes import paid_behind, sent_version_key, with_notes
from bitagent_validator.weights.obstacles import Obstacle
from bitagent_validator.weights.plan import Decision, Step, SubmissionProgress, changed_hands, plan_weights
from bitagent_validator.weights.sightings import is_sent, may_be_on_chain
from bitagent_validator.weights.slots import SecondLook
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest
from bitagent_validator.weights.turns import Turns

log = logging.getLogger(__name__)

LOOK_AGAIN_BLOCKS = 10
"""Blocks after which a block is asked for again that no endpoint returned."""
STATES_KEPT = 200
"""Blocks whose state every node has: nodes discard states that are older than about 256 blocks."""


class WeightSetter:
    """Reconciles planned weights with the chain for one hotkey; submits when they differ."""

    def __init__(
        self,
        account: Account,
        store: StateStore,
        events: ObjectEvents,
        metrics: Metrics,
        *,
        changed: Callable[[], None],
        turns: Turns | None = None,
        mechanism: int = 0,
        slots: SecondLook | None = None,
    ) -> None:
        self._account = account
        self._slots = slots or SecondLook()
        self._store = store
        self._events = events
        self._metrics = metrics
        self._mechanism = mechanism
        self._attempts = Attempts(metrics, changed=changed, turns=turns)
        self._best = 0
        """The highest block seen."""
        self._looked_at = 0
        """The block that was searched last for a pending row."""
        self._unread: tuple[int, frozenset[str]] = (0, frozenset())
        """A block that could not be searched, and the endpoints that did not return it."""
        self._look_again = 0
        """The block from which on it is asked for again."""
        self._missed = ""
        """The digest of the sealed commit whose loss was counted last."""
        self._paid: Mapping[str, Mapping[str, int]] | None = None
        """By competition: the shares behind the row that this process submitted last; None after its end."""

    def decide(
        self,
        spec: ValidatorSpec,
        computed: ComputedWeights,
        subnet: Subnet,
        *,
        accepts: Mapping[int | None, str] | None = None,
        skew: float | None = None,
    ) -> Decision:
        """Return what is to be done about the weights, given what is known now.

        `accepts` is what a person says about rows that the guard holds, by mechanism; None: without a number. `skew` is
        that of the clock, None if it fits.
        """
        state, account = self._store.state, self._account.on(subnet.netuid)
        pending, accepted = state.pending.get(self._mechanism), state.accepted.get(self._mechanism)
        progress = SubmissionProgress(
            # Records of another hotkey or subnet say nothing about this account.
            pending=pending if pending and pending.account == account else None,
            accepted=accepted if accepted and accepted.account == account else None,
            in_flight=self._attempts.in_flight,
            expires=self._attempts.expires,
            unopened=frozenset(
                each.digest
                for each in state.history
                if each.mechanism == self._mechanism and each.reveal is Reveal.PENDING and not each.missed
            ),
            included=block_of(self._attempts.extrinsic),
            failure=self._attempts.failure,
        )
        decision = plan_weights(
            mode=spec.weights.mode,
            version_key=sent_version_key(spec.weights, subnet.rules.version_key),
            planned=computed.row,
            any_round=bool(state.scored)
            or needs_no_round([c for c in spec.competitions if c.mechanism == self._mechanism]),
            subnet=subnet,
            progress=progress,
            policy_problem=computed.policy_problem,
            held=guard_obstacle(
                spec.weights.guard,
                computed,
                # Without a record, as after the loss of the ConfigMap, the chain's row is the last one.
                progress.accepted.weights if progress.accepted else subnet.weights,
                accepted=Acceptance(
                    {number: value for number, value in (accepts or {}).items() if number is not None},
                    anywhere=(accepts or {}).get(None, ""),
                    single=len(spec.mechanisms) < 2,
                ),
                mechanism=self._mechanism,
            ),
            skew=skew,
            fill=spec.weights.fill,
            target=burn_target(spec.weights.burn, subnet).hotkey,
        )
        return with_notes(decision, computed)

    async def step(
        self,
        spec: ValidatorSpec,
        computed: ComputedWeights,
        subnet: Subnet,
        *,
        connection: Connection,
        accepts: Mapping[int | None, str] | None = None,
        skew: float | None = None,
        others: Sequence[str] = (),
    ) -> Decision:
        """Carry out one step if one is due; return the decision that then holds.

        `others` are the endpoints that may be asked for what they say about the same. Raises ApiError if the step could
        not be recorded (it is not carried out then), and ChainUnavailable if the chain cannot be read, if two endpoints
        agree that the one that is used is wrong, or if the last row was lost there.
        """

        def decide() -> Decision:
            return self.decide(spec, computed, subnet, accepts=accepts, skew=skew)

        self._best = max(self._best, subnet.block)
        await self._collect_result(spec, subnet, connection)
        unread = await self._recognise(subnet, connection)
        decision = decide()
        if unread and decision.step is not Step.CONFIRM:
            # It may hold this row: neither given up nor taken for another process's before that is known.
            return replace(decision, step=Step.WAIT, reason=Reason.CHAIN_UNREACHABLE, message=unread)
        if decision.step is Step.DISCARD:
            await self._discard()
            if others:
                # A node that takes transactions and passes none on reads like any other.
                raise ChainUnavailable(f"{connection.endpoint} took a row that no block has: another endpoint is tried")
            decision = decide()
        if decision.step is Step.CONFIRM:
            await self._confirm(computed, subnet, connection)
            decision = decide()
        if decision.step is Step.REVEALED:
            await self._revealed()
            decision = decide()
        if decision.step is Step.SUBMIT and decision.row:
            if decision.reason is Reason.REVEAL_MISSED:
                await self._count_missed(decision.message)
            for sentence in changed_hands(self._store.state.accepted.get(self._mechanism), subnet):
                await self._events.warning("SlotChangedHands", sentence)
            key = max(subnet.rules.version_key, await connection.version_key(spec.netuid))
            changed = await self._changed_since(spec, decision.row, subnet, connection, key=key)
            changed = changed or await self._slots.obstacle(decision.row, subnet, connection, others=others)
            if changed is not None:
                return replace(decision, step=Step.WAIT, reason=changed.reason, message=changed.message)
            sent = sent_version_key(spec.weights, key)
            era = era_blocks(best=await connection.head(), final=await connection.finalized())
            await self._submit(spec, decision.row, subnet, url=connection.url, version_key=sent, era=era)
            self._paid = paid_behind(decision.row, computed)
            decision = replace(decision, step=Step.WAIT)
        return decision

    async def _changed_since(
        self, spec: ValidatorSpec, row: Row, subnet: Subnet, connection: Connection, *, key: int
    ) -> Obstacle | None:
        """Return what the newest block has changed of what decided: the version `key`, or whose weights are burnt.

        Either makes the setting wait for the next look at the subnet.
        """
        if sent_version_key(spec.weights, key) < key:
            return Obstacle(Reason.VERSION_KEY_TOO_LOW, f"the subnet requires version key {key} since this block")
        if subnet.owner_hotkey in row.burnt:
            owner = await connection.owner(spec.netuid)
            if owner is not None and owner != subnet.owner_hotkey:
                return Obstacle(Reason.WEIGHTS_PENDING, f"the subnet's owner is {owner} since this block")
        return None

    async def stop(self) -> None:
        """Kill the submission in progress, if there is one."""
        await self._attempts.stop()

    async def _submit(
        self, spec: ValidatorSpec, planned: Row, subnet: Subnet, *, url: str, version_key: int, era: int
    ) -> None:
        uids = {hotkey: subnet.neurons[hotkey].uid for hotkey in planned.weights}
        account = self._account.on(subnet.netuid)
        pending = planned.as_pending(since=subnet.block, account=account, uids=uids, epoch=subnet.epoch, era=era)
        state = self._store.state.with_pending(self._mechanism, pending)
        await self._save(state)  # one that is refused must not cost the weights: the chain is read anyway
        request = SubmissionRequest(
            endpoint=url,
            hotkey_file=self._account.hotkey_file,
            hotkey=self._account.hotkey,
            netuid=spec.netuid,
            mechanism=self._mechanism,
            sealed=subnet.rules.commit_reveal,
            finalized=spec.chain.read is ChainRead.FINALIZED,
            weights=pending.by_uid,
            version_key=version_key,
            era_blocks=era,
        )
        log.info("submitting %s for %d hotkeys", pending.source, pending.hotkeys)
        self._attempts.begin(request, seconds=spec.weights.timeout_seconds)

    async def _collect_result(self, spec: ValidatorSpec, subnet: Subnet, connection: Connection) -> None:
        """Process the result of a submission that ended, and determine until when its transaction may be included."""
        pending = self._store.state.pending.get(self._mechanism)
        # The result is kept until all of this is done: a pass that fails half-way repeats it.
        if result := self._attempts.ended:
            if result.outcome is not SubmissionOutcome.INCLUDED:
                self._attempts.fail(result, subnet=subnet)
            if result.certain:
                pending = None
            elif pending:
                pending = pending.model_copy(
                    update={"commit": result.commit or pending.commit, "signed": result.signed or None}
                )
            if pending != self._store.state.pending.get(self._mechanism):
                await self._save(self._store.state.with_pending(self._mechanism, pending))
            self._attempts.release(result)
            if result.code == "hotkey_changed":
                raise HotkeyChanged(result.message)
            if failure := self._attempts.failure:
                await self._events.warning("WeightsFailed", failure.message, occasion=str(subnet.block))
        if pending:
            seconds = spec.weights.timeout_seconds
            await self._attempts.look_ahead(pending, seconds=seconds, best=self._best, connection=connection)

    async def _recognise(self, subnet: Subnet, connection: Connection) -> str:
        """Find out whether the newest setting is the pending row, if nothing that the chain shows says so.

        The chain may have dropped a sealed row, or taken weights out of an open one because slots changed hands, before
        it was seen. It would be taken for another process's, and not be set again for hours. Returns why that is not
        known, if no endpoint returns the block. Raises ChainUnavailable where another endpoint may have it.
        """
        pending, me = self._store.state.pending.get(self._mechanism), subnet.me
        if pending is None or me is None or self._attempts.in_flight:
            return ""
        block = me.last_update
        if block <= max(pending.since, me.registered_at) or block == self._looked_at:
            return ""
        if may_be_on_chain(pending, subnet) or block == block_of(self._attempts.extrinsic):
            return ""
        if subnet.block - block >= STATES_KEPT:
            return ""
        text = f"block {block}, in which weights of this hotkey were set, cannot be read; it is tried again"
        asked = self._unread[1] if self._unread[0] == block else frozenset()
        if connection.url in asked and subnet.block < self._look_again:
            return text
        try:
            rows = await connection.sent_rows(block, hotkey=self._account.hotkey)
        except ChainUnavailable as error:
            self._unread, self._look_again = (block, asked | {connection.url}), subnet.block + LOOK_AGAIN_BLOCKS
            if connection.url not in asked:
                raise
            log.warning("%s: %s", text, error)
            return text
        self._looked_at = block
        ours = (extrinsic for extrinsic, row in rows.items() if is_sent(pending, row, mechanism=self._mechanism))
        self._attempts.extrinsic = next(ours, self._attempts.extrinsic)
        return ""

    async def _save(self, state: State) -> None:
        """Record a state; one that the API server refuses for good is remembered."""
        try:
            await self._store.save(state)
        except ApiError as error:
            if not error.final:
                raise
            log.error("the state cannot be recorded: %s", error)
            self._store.remember(state)

    async def _revealed(self) -> None:
        accepted = self._store.state.accepted.get(self._mechanism)
        if accepted is None:
            return
        revealed = accepted.model_copy(update={"reveal": Reveal.REVEALED})
        state = self._store.state.with_accepted(self._mechanism, revealed)
        await self._save(state.with_reveal(self._mechanism, accepted.block, missed=False))
        self._metrics.reveals.labels("Revealed").inc()

    async def _count_missed(self, message: str) -> None:
        accepted = self._store.state.accepted.get(self._mechanism)
        occasion = str(accepted.block) if accepted else ""
        if accepted is None or self._missed == occasion:
            return
        self._missed = occasion
        await self._save(self._store.state.with_reveal(self._mechanism, accepted.block, missed=True))
        self._metrics.reveals.labels("Missed").inc()
        await self._events.warning("RevealMissed", message, occasion=occasion)

    async def _discard(self) -> None:
        log.warning("the last submission expired without reaching the chain")
        await self._save(self._store.state.with_pending(self._mechanism, None))
        self._attempts.lost()

    async def _confirm(self, computed: ComputedWeights, subnet: Subnet, connection: Connection) -> None:
        pending = self._store.state.pending.get(self._mechanism)
        if pending is None or subnet.me is None:
            return
        block = subnet.me.last_update
        extrinsic, at = await self._inclusion(block, age=subnet.block - block, connection=connection)
        # It may have been sealed just before the subnet's owner changed that: the chain still opens it then.
        sealed = subnet.rules.commit_reveal or bool(pending.commit)
        commit = next((each for each in subnet.commits if each.block == block), None)
        if commit is not None:
            # A process that was killed as it sent the row did not say its hash; and an epoch may have begun meanwhile,
            # or rows been sealed only since the decision.
            digest = pending.commit or commit.digest
            epoch = commit.epoch if digest == commit.digest else pending.epoch
            pending = pending.model_copy(update={"commit": digest, "epoch": epoch})
        accepted = pending.as_accepted(
            block=block, at=at, extrinsic=extrinsic, reveal=Reveal.PENDING if sealed else Reveal.OPEN
        )
        state = self._store.state.with_pending(self._mechanism, None).with_accepted(self._mechanism, accepted)
        before = self._store.state.accepted.get(self._mechanism)
        setting = Setting(
            mechanism=self._mechanism,
            block=block,
            at=at,
            rounds=accepted.rounds,
            hotkeys=accepted.hotkeys,
            digest=accepted.digest,
            extrinsic=extrinsic,
            change=round(change_between(before.weights, accepted.weights), 4) if before else 0.0,
            reveal=accepted.reveal,
        )
        state = state.with_setting(setting)
        paid = paid_behind(accepted, computed) if self._paid is None else self._paid
        held = {**state.held, **{name: dict(shares) for name, shares in paid.items()}}
        await self._save(state.model_copy(update={"held": held}))
        self._paid = None
        self._attempts.confirmed()
        paid_to = counted(accepted.hotkeys, "hotkey")
        text = f"{accepted.source} for {paid_to} are on the chain: extrinsic {extrinsic}"
        if sealed:
            text = f"{accepted.source} for {paid_to} were sent sealed: extrinsic {extrinsic}"
        await self._events.normal("WeightsSet", text)
        for sentence in changed_hands(accepted, subnet):
            await self._events.warning("SlotChangedHands", sentence, occasion=str(block))

    async def _inclusion(self, block: int, *, age: int, connection: Connection) -> tuple[str, datetime]:
        """Return the extrinsic that set the weights in a block, and the block's time; estimated if it is too old."""
        try:
            extrinsic = self._attempts.extrinsic or await connection.weights_extrinsic(
                block, hotkey=self._account.hotkey
            )
            return extrinsic, await connection.timestamp(block)
        except ChainUnavailable:
            if age < STATES_KEPT:
                raise
        # The pod did not run for long, and the node has discarded the block's state. The weights are set nevertheless.
        estimated = datetime.now(UTC) - timedelta(seconds=age * connection.block_seconds)
        return self._attempts.extrinsic or str(block), estimated.replace(microsecond=0)


class HotkeyChanged(Exception):
    """The hotkey file holds another key than at the start: the process must be restarted."""
