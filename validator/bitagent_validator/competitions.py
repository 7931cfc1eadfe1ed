"""The rounds of all competitions: take over finished scores, create what is due, delete what is surplus."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import ValidationError

from bitagent_crds.minermodel import MinerModelSpec
from bitagent_crds.rounds import round_name
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import Competition
from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.epochs import Epoch
from bitagent_validator.kube import CONFLICT, Api, ApiError, path
from bitagent_validator.metrics import Metrics
from bitagent_validator.mirror import Mirror
from bitagent_validator.recorder import Recorder
from bitagent_validator.rounds import Outcome, RoundPlan, plan_rounds, round_manifest
from bitagent_validator.scores import Owners, entrants, scores_by_hotkey
from bitagent_validator.seen import Round, ValidatorObject
from bitagent_validator.state import HotkeyScore, ScoredRound, Store
from bitagent_validator.status import Standing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tools:
    """What acting on rounds takes."""

    api: Api
    rounds: Mirror[Round]
    store: Store
    recorder: Recorder
    metrics: Metrics


class Competitions:
    """The competitions of one Validator."""

    def __init__(self, tools: Tools, *, namespace: str, uid: str) -> None:
        self._tools = tools
        self._namespace = namespace
        self._uid = uid
        """The Validator's."""
        self._refusals: dict[str, str] = {}
        """Why a competition's round could not be created, so that each reason is told once."""

    async def entrants(self, competition: str) -> frozenset[str]:
        """Hotkeys with a model in the competition's running round.

        Raises:
            ApiError: The owners of the models could not be read.
        """
        running = [r for r in self._of(competition) if r.outcome is Outcome.UNFINISHED and r.content]
        if not running or running[-1].content is None:
            return frozenset()
        return entrants(running[-1].content, owners=await self._owners_of(running[-1]))

    async def take_over_scores(self, competitions: list[Competition], subnet: Subnet) -> None:
        """Record the scores of newly complete rounds, before anything may delete these.

        Raises:
            ApiError: They could not be recorded; nothing was changed.
        """
        tools = self._tools
        await self._note_owners()
        state, taken = tools.store.state, []
        for competition in competitions:
            complete = [r for r in self._of(competition.id) if r.outcome is Outcome.COMPLETE]
            known = state.scored.get(competition.id)
            if not complete or complete[-1].content is None or (known and known.block >= complete[-1].block):
                continue
            scored = await self._score(complete[-1], subnet)
            state = state.model_copy(update={"scored": {**state.scored, competition.id: scored}})
            taken.append(competition.id)
        if taken:
            await tools.store.save(state)
            for competition_id in taken:
                scored = state.scored[competition_id]
                log.info("%s is complete: scores of %d hotkeys taken over", scored.round, len(scored.scores))
                tools.metrics.rounds.labels(competition_id, "complete").inc()

    async def run(
        self, me: ValidatorObject, competition: Competition, *, block: int, connection: Connection
    ) -> Standing:
        """Create the round of the present epoch if it is due, and delete surplus ones.

        Raises:
            ApiError: The API server did not answer.
            ChainUnavailable: The seed could not be read.
        """
        plan = self._plan(competition, block)
        problem = ""
        if plan.create:
            seed = await connection.block_hash(plan.create.block)
            problem = await self._create(me, competition, plan.create, seed=seed)
        for name in plan.delete:
            await self._delete(name)
        return self.standing(competition, block=block, problem=problem)

    def standing(self, competition: Competition, *, block: int, problem: str = "") -> Standing:
        """How the competition stands, without acting."""
        plan = self._plan(competition, block)
        latest = plan.latest
        progress = self._tools.rounds.objects[latest.name].progress if latest else ""
        if latest and plan.current:
            self._tools.metrics.round_epoch.labels(competition.id).set(latest.epoch)
            self._tools.metrics.rounds_behind_epochs.labels(competition.id).set(
                (plan.current.block - latest.block) // competition.schedule.every_blocks
            )
        return Standing(plan, progress=progress, problem=problem)

    def _plan(self, competition: Competition, block: int) -> RoundPlan:
        scored = self._tools.store.state.scored.get(competition.id)
        seen = [r.seen() for r in self._of(competition.id)]
        return plan_rounds(competition, block=block, seen=seen, scored_block=scored.block if scored else None)

    def _of(self, competition: str) -> list[Round]:
        rounds = self._tools.rounds.objects.values()
        # Those of an earlier Validator of this name, perhaps on another chain, are not its business.
        mine = (r for r in rounds if r.competition == competition and r.owner == self._uid)
        return sorted(mine, key=lambda r: r.block)

    async def _create(self, me: ValidatorObject, competition: Competition, epoch: Epoch, *, seed: str) -> str:
        """Create a round; returns why that is impossible, or nothing."""
        tools = self._tools
        body = round_manifest(
            competition, epoch, seed=seed, validator=me.name, namespace=me.namespace, owner=me.owner_reference
        )
        name = round_name(me.name, competition.id, epoch.number)
        collection = path(API_VERSION, "evalrounds", namespace=me.namespace)
        try:
            created = await tools.api.create(collection, body)
        except ApiError as error:
            if error.status == CONFLICT:
                return await self._adopt(me, name, epoch)
            if 400 <= error.status < 500:
                problem = f"{name} cannot be created: {error}"
                if self._refusals.get(competition.id) != problem:
                    self._refusals[competition.id] = problem
                    await tools.recorder.warn("RoundRefused", problem)
                return problem
            raise
        tools.rounds.put(created)
        tools.metrics.rounds.labels(competition.id, "created").inc()
        await tools.recorder.note("RoundCreated", f"{name}: epoch {epoch.number} from block {epoch.block}, seed {seed}")
        return ""

    async def _adopt(self, me: ValidatorObject, name: str, epoch: Epoch) -> str:
        """The name is taken: fine if by an earlier attempt of ours."""
        existing = await self._tools.api.get(path(API_VERSION, "evalrounds", namespace=me.namespace, name=name))
        if existing is None:
            return ""
        owners = existing["metadata"].get("ownerReferences") or []
        if not any(owner.get("uid") == me.uid for owner in owners):
            return f"an EvalRound {name} exists that is not this Validator's: delete it"
        self._tools.rounds.put(existing)
        if self._tools.rounds.objects[name].block != epoch.block:
            return f"an EvalRound {name} exists from another schedule: delete it, or wait for the next epoch"
        return ""

    async def _delete(self, name: str) -> None:
        round_ = self._tools.rounds.objects[name]
        at = path(API_VERSION, "evalrounds", namespace=self._namespace, name=name)
        await self._tools.api.delete(at, uid=round_.uid)
        self._tools.rounds.drop(name)
        log.info("%s is deleted: beyond the history limit", name)

    async def _score(self, round_: Round, subnet: Subnet) -> ScoredRound:
        if round_.content is None:
            raise ValueError(f"{round_.name} has no content")
        scores = scores_by_hotkey(round_.content, owners=await self._owners_of(round_), neurons=subnet.neurons)
        return ScoredRound(
            round=round_.name,
            epoch=round_.epoch,
            block=round_.block,
            scores={h: HotkeyScore(score=s.value, registered_at=s.registered_at) for h, s in scores.items()},
        )

    async def _note_owners(self) -> None:
        """Write down who owns which model in rounds that have just frozen their set, until their scores are taken over.

        Who owns a model then gets its score, though this pod be replaced and the model be deleted before the round ends.
        """
        state, noted = self._tools.store.state, {}
        for round_ in self._tools.rounds.objects.values():
            scored = state.scored.get(round_.competition)
            if round_.outcome is Outcome.UNFINISHED and round_.owner == self._uid:
                if round_.results:
                    noted[round_.uid] = dict(await self._owners_of(round_))
            elif round_.uid in state.owners and not (scored and scored.block >= round_.block):
                noted[round_.uid] = state.owners[round_.uid]
        if noted != state.owners:
            await self._tools.store.save(state.model_copy(update={"owners": noted}))

    async def _owners_of(self, round_: Round) -> Owners:
        noted = self._tools.store.state.owners.get(round_.uid)
        if noted is not None or not round_.results:
            return noted or {}
        names = {r.model for r in round_.results}
        items, _ = await self._tools.api.list(path(API_VERSION, "minermodels", namespace=self._namespace))
        models = {i["metadata"]["name"]: i["spec"] for i in items if i["metadata"]["name"] in names}
        return {name: hotkey for name, spec in models.items() if (hotkey := _hotkey(name, spec))}


def _hotkey(name: str, spec: object) -> str | None:
    try:
        miner = MinerModelSpec.model_validate(spec).miner
    except ValidationError as error:
        log.error("MinerModel %s does not read as this version's, its owner gets no score: %s", name, error)
        return None
    return miner.hotkey if miner else None
