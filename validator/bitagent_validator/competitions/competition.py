"""The rounds of all competitions on the API server: record scores, create rounds, publish seeds, delete surplus."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import MinerModelSpec
from bitagent_crds.names import round_name
from bitagent_crds.seeds import SeedFrom
from bitagent_crds.validator import Competition
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import MODELS, ROUNDS
from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.competitions.leaderboards import LeaderboardPublisher
from bitagent_validator.competitions.rounds import (
    AHEAD_OF_TIME_BLOCKS,
    Epoch,
    RoundPlan,
    plan_rounds,
    round_manifest,
    seed_block,
)
from bitagent_validator.competitions.scores import (
    Submissions,
    as_frozen,
    frozen_submission,
    in_order,
    participants,
    record,
    running_round,
    standings,
)
from bitagent_validator.competitions.seed_secrets import SecretUnavailable, SeedSecrets
from bitagent_validator.competitions.seeding import SeedPublisher
from bitagent_validator.objects import Round, RoundPhase, ValidatorObject, parse_round
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.services import Services
from bitagent_validator.state.documents import State
from bitagent_validator.state.scores import Submission

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompetitionStatus:
    """The rounds of one competition."""

    plan: RoundPlan
    problem: str = ""
    """Why the round of the present epoch could not be created, or its seed not be published."""
    reason: Reason = Reason.PENDING
    """The reason of that problem."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why the chain contradicts a model's commitBlock in the latest round, by MinerModel."""


class CompetitionController:
    """The rounds of one Validator's competitions."""

    def __init__(
        self, services: Services, *, uid: str, secrets: SeedSecrets, leaderboards: LeaderboardPublisher
    ) -> None:
        self._services = services
        self._leaderboards = leaderboards
        self._seeds = SeedPublisher(services, secrets)
        self._uid = uid
        """The Validator's."""
        self._refusals: dict[str, str] = {}
        """Why a competition's round could not be created; each reason is posted once as an Event."""

    async def standings(self, competition: Competition, *, block: int) -> Standings:
        """Return what is known about the competition's hotkeys at a block.

        Raises ApiError if the miners of the models cannot be read.
        """
        running = running_round(self._rounds_of(competition.id))
        submissions = await self._submissions_of(running) if running else {}
        return standings(competition, running, state=self._services.store.state, submissions=submissions, block=block)

    async def record_scores(self, competition: Competition, subnet: Subnet) -> None:
        """Record the results of newly finished rounds of a competition, before any of these may be deleted.

        Raises ApiError if they cannot be recorded; nothing is changed then.
        """
        services = self._services
        before = services.store.state
        state = await self._with_owners(before, competition.id)
        if state != before:
            await services.store.save(state)
        state = await self._with_results(state, competition, subnet)
        if state == services.store.state:
            return
        old = services.store.state.scored.get(competition.id)
        await services.store.save(state)
        scored = state.scored.get(competition.id)
        if scored is not None and scored != old:
            log.info("%s is complete: results of %d hotkeys recorded", scored.round, len(scored.scores))
            services.metrics.rounds.labels(competition.id, "complete").inc()

    async def _with_results(self, state: State, competition: Competition, subnet: Subnet) -> State:
        """Return the state with the results of the competition's rounds that are not in it yet, the oldest first."""
        scored, tried = state.scored.get(competition.id), frozenset(state.tried.get(competition.id, ()))
        for round_ in self._rounds_of(competition.id):
            if round_.phase is RoundPhase.UNFINISHED or (scored and round_.block <= scored.block):
                continue
            if round_.block > subnet.block + AHEAD_OF_TIME_BLOCKS:
                continue
            submissions = await self._submissions_of(round_)
            if round_.phase is RoundPhase.COMPLETE:
                scored = record(
                    scored,
                    round_,
                    competition=competition,
                    submissions=submissions,
                    neurons=subnet.neurons,
                    refused=state.refused.get(round_.key, {}),
                    elsewhere=[other for name, other in state.scored.items() if name != competition.id],
                )
                # Whoever was in a failed round before had this one to take part in.
                tried = frozenset()
            else:
                tried = tried | participants(round_, submissions=submissions, neurons=subnet.neurons)
        all_tried = {**state.tried, competition.id: tuple(sorted(tried))}
        update: dict[str, object] = {"tried": {name: hotkeys for name, hotkeys in all_tried.items() if hotkeys}}
        if scored:
            update["scored"] = {**state.scored, competition.id: scored}
        return state.model_copy(update=update)

    async def reconcile(
        self,
        me: ValidatorObject,
        competition: Competition,
        *,
        block: int,
        connection: Connection,
        blocked: str = "",
    ) -> CompetitionStatus:
        """Create the round of the present epoch if it is due, publish due seeds, and delete surplus rounds.

        `block` is the last final one; `blocked` says why no round is to be created. Raises ApiError if the API server
        does not answer, and ChainUnavailable if the chain does not.
        """
        await self._replace_foreign(competition, genesis=connection.genesis)
        for round_ in self._plan(competition, block).replace:
            # It may have been frozen just now: what the watch has not brought yet must not cost the round.
            if (newest := await self._services.client.get(ROUNDS, round_.name)) is not None:
                self._services.rounds.put(newest)
        for round_ in self._plan(competition, block).replace:
            text = f"{round_.name} was not frozen before its seed's block, and its secret is shared: it is replaced"
            await self._services.events.warning("RoundReplaced", text)
            await self._delete(round_.name, why="its seed may be known before its models are fixed")
        plan = self._plan(competition, block)
        reason = Reason.PENDING
        if plan.create is not None and blocked:
            plan = replace(plan, create=None)
            reason = Reason.ROUNDS_NOT_STARTED
        try:
            problem = await self._start_and_publish(me, competition, plan, block=block, connection=connection)
        except SecretUnavailable as error:
            problem, reason = str(error), Reason.PENDING
        if not problem and reason is Reason.ROUNDS_NOT_STARTED:
            problem = f"no round is started: {blocked}; spec.roundsWithoutPermit starts them all the same"
        unread = [round_.name for round_ in self._rounds_of(competition.id) if not round_.readable]
        if not problem and unread:
            problem = (
                f"{', '.join(unread)}: not readable by this version, as the log says, so no results are taken from it "
                "and no other round is started: upgrade the validator, or delete the EvalRound"
            )
        await self._leaderboards.publish(self._rounds_of(competition.id))
        for name in plan.delete:
            await self._delete(name, why="beyond the history limit")
        done = self._plan(competition, block)
        self._measure(competition, done)
        refused = self._services.store.state.refused.get(done.latest.key, {}) if done.latest else {}
        return CompetitionStatus(done, problem=problem, reason=reason, refused=refused)

    async def _start_and_publish(
        self, me: ValidatorObject, competition: Competition, plan: RoundPlan, *, block: int, connection: Connection
    ) -> str:
        """Carry out the plan for new rounds and for seeds; return why that is impossible, or the empty string."""
        for round_ in plan.reveal:
            if round_.key in self._services.store.state.owners or not round_.results:
                await self._seeds.publish(round_, competition, block=block, connection=connection)
        if plan.create is None:
            return ""
        chosen = seed_block(competition.schedule, plan.create, block=block)
        seed_from = self._seeds.committed(competition, block=chosen, genesis=connection.genesis)
        problem = await self._create(
            me, competition, plan.create, seed_from=seed_from, block=block, block_seconds=connection.block_seconds
        )
        if plan.skipped and not problem:
            text = (
                f"{competition.id}: {plan.skipped} epochs before epoch {plan.create.number} have no round: "
                "the round before them had not ended, or this validator could not create one"
            )
            await self._services.events.warning("EpochsSkipped", text)
        return problem

    async def _replace_foreign(self, competition: Competition, *, genesis: str) -> None:
        """Delete rounds that wait for a secret which this pod does not have: its key was changed since.

        The round of the present epoch is then created again, with a secret of the present key.
        """
        for round_ in self._rounds_of(competition.id):
            seed_from = round_.seed_from
            if seed_from is None or seed_from.revealed or round_.phase is not RoundPhase.UNFINISHED:
                continue
            try:
                ours = self._seeds.is_ours(round_, competition, genesis=genesis)
            except SecretUnavailable:
                return
            if not ours:
                text = f"{round_.name} was created with another key, whose secret is not known: it is replaced"
                await self._services.events.warning("RoundReplaced", text)
                await self._delete(round_.name, why="its seed's secret is of another key")

    def _plan(self, competition: Competition, block: int) -> RoundPlan:
        scored = self._services.store.state.scored.get(competition.id)
        rounds = self._rounds_of(competition.id)
        return plan_rounds(competition, block=block, rounds=rounds, scored_block=scored.block if scored else None)

    def _measure(self, competition: Competition, plan: RoundPlan) -> None:
        if plan.latest and plan.current:
            metrics = self._services.metrics
            metrics.round_epoch.labels(competition.id).set(plan.latest.epoch)
            metrics.rounds_behind_epochs.labels(competition.id).set(
                (plan.current.block - plan.latest.block) // competition.schedule.every_blocks
            )

    def _rounds_of(self, competition: str) -> list[Round]:
        rounds = self._services.rounds.objects.values()
        # Rounds of an earlier Validator of this name, perhaps on another chain, are ignored.
        mine = (r for r in rounds if r.competition == competition and r.owner == self._uid and not r.tasks_only)
        return sorted(mine, key=lambda r: r.block)

    async def _create(
        self,
        me: ValidatorObject,
        competition: Competition,
        epoch: Epoch,
        *,
        seed_from: SeedFrom,
        block: int,
        block_seconds: float,
    ) -> str:
        """Create a round; return why that is impossible, or the empty string."""
        services = self._services
        body = round_manifest(
            competition,
            epoch,
            seed_from=seed_from,
            created_block=block,
            block_seconds=block_seconds,
            validator=me.name,
            namespace=me.namespace,
            owner=me.reference.as_owner(),
        )
        name = round_name(me.name, competition.id, epoch.number)
        try:
            created = await services.client.create(body)
        except ApiError as error:
            if error.conflict:
                return await self._adopt(me, name, epoch)
            if error.final:
                problem = f"{name} cannot be created: {error}"
                if self._refusals.get(competition.id) != problem:
                    self._refusals[competition.id] = problem
                    await services.events.warning("RoundRefused", problem)
                return problem
            raise
        services.rounds.put(created)
        services.metrics.rounds.labels(competition.id, "created").inc()
        text = f"{name}: epoch {epoch.number} from block {epoch.block}, seed of block {seed_from.block}"
        await services.events.normal("RoundCreated", text)
        return ""

    async def _adopt(self, me: ValidatorObject, name: str, epoch: Epoch) -> str:
        """Use the existing round of this name if an earlier attempt created it; return the problem otherwise."""
        existing = await self._services.client.get(ROUNDS, name)
        if existing is None:
            return ""
        owners = existing["metadata"].get("ownerReferences") or []
        if not any(owner.get("uid") == me.uid for owner in owners):
            return f"an EvalRound {name} exists that is not this Validator's: delete it"
        self._services.rounds.put(existing)
        if parse_round(existing).block != epoch.block:
            return f"an EvalRound {name} exists from another schedule: delete it, or wait for the next epoch"
        return ""

    async def _delete(self, name: str, *, why: str) -> None:
        round_ = self._services.rounds.objects.get(name)
        if round_ is None:  # deleted by a person since the plan was made
            return
        await self._services.client.delete(ROUNDS, name, uid=round_.uid)
        self._services.rounds.drop(round_.uid)
        log.info("%s is deleted: %s", name, why)

    async def _with_owners(self, state: State, competition: str) -> State:
        """Return the state with who submitted each model in rounds that have frozen their set, until they are recorded.

        That miner gets the model's score, even if this pod is replaced or the model deleted before the round ends. Of
        failed rounds, which may be retried, only the last one is kept: the others' results say who submitted what.
        """
        scored = state.scored.get(competition)
        rounds = self._rounds_of(competition)
        due = [r for r in rounds if scored is None or r.block > scored.block or r.phase is RoundPhase.UNFINISHED]
        failed = [r for r in due if r.phase is RoundPhase.FAILED]
        kept: dict[str, dict[str, Submission]] = {}
        for round_ in due:
            if round_.phase is RoundPhase.FAILED and round_ is not failed[-1]:
                continue
            if round_.phase is RoundPhase.COMPLETE and round_.key not in state.owners:
                continue
            if round_.results:
                kept[round_.key] = dict(await self._submissions_of(round_))
        known = {round_.key for round_ in rounds}
        others = {key: value for key, value in state.owners.items() if not key.startswith(f"{competition}/")}
        refused = {
            key: value for key, value in state.refused.items() if not key.startswith(f"{competition}/") or key in known
        }
        return state.model_copy(update={"owners": {**others, **kept}, "refused": refused})

    async def _submissions_of(self, round_: Round) -> Submissions:
        recorded = self._services.store.state.owners.get(round_.key)
        refused = self._services.store.state.refused.get(round_.key, {}).keys()
        if recorded is not None or not round_.results:
            return as_frozen(recorded or {}, round_.results, refused=refused)
        names = {r.model for r in round_.results} - refused
        frozen = {r.model: r for r in round_.results if r.model_uid is not None}
        found: dict[str, Submission] = {
            name: s for name in frozen.keys() & names if (s := frozen_submission(frozen[name]))
        }
        created: dict[str, str] = {}
        for item in await self._services.client.list(MODELS):
            name, uid = item["metadata"]["name"], item["metadata"]["uid"]
            if name not in names or (name in frozen and frozen[name].model_uid != uid):
                continue
            created[name] = item["metadata"].get("creationTimestamp", "")
            if name not in frozen and (submission := _submission(name, item["spec"])):
                found[name] = submission
        return in_order((name, submission, created.get(name, "")) for name, submission in found.items())


def _submission(name: str, spec: object) -> Submission | None:
    """Return the submission of a model in a round of an earlier operator, which froze no identities."""
    try:
        miner = MinerModelSpec.model_validate(spec).miner
    except ValidationError as error:
        log.error(
            "MinerModel %s does not conform to this version's schema, so its owner gets no score: %s", name, error
        )
        return None
    return Submission(hotkey=miner.hotkey, block=miner.commit_block) if miner else None
