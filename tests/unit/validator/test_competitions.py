"""Rounds against an API server of dictionaries: creating, adopting, taking over scores, deleting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.competitions import Competitions, Tools
from bitagent_validator.kube import ApiError
from bitagent_validator.metrics import Metrics
from bitagent_validator.mirror import Mirror
from bitagent_validator.seen import Round, ValidatorObject, parse_round
from bitagent_validator.state import State

ME = ValidatorObject("val", "ns", "me-uid", 1, None, {})
HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
OTHER = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
Make = Callable[..., Competition]


class Server:
    """EvalRounds and MinerModels by name; `refusal` is raised by the next create."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, Any]] = {}
        self.owners = {"m1": HOTKEY}
        self.refusal: ApiError | None = None

    async def get(self, at: str) -> dict[str, Any] | None:
        return self.rounds.get(at.rsplit("/", 1)[1])

    async def list(self, at: str, **_: str) -> tuple[list[dict[str, Any]], str]:
        source = {"huggingFace": {"repo": "a/b"}}
        specs = {name: {"source": source, "miner": {"hotkey": hotkey}} for name, hotkey in self.owners.items()}
        specs["nobodys"] = {"source": source}
        specs["unreadable"] = {"surprise": 1}
        return [{"metadata": {"name": name}, "spec": spec} for name, spec in specs.items()], "1"

    async def create(self, at: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        name = body["metadata"]["name"]
        if name in self.rounds:
            raise ApiError("exists", status=409)
        self.rounds[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}"}}
        return self.rounds[name]

    async def delete(self, at: str, *, uid: str) -> None:
        del self.rounds[at.rsplit("/", 1)[1]]


class Store:
    def __init__(self) -> None:
        self.state = State()
        self.broken = False

    async def save(self, state: State) -> None:
        if self.broken:
            raise ApiError("away", status=0)
        self.state = state


class Recorder:
    def __init__(self) -> None:
        self.events: list[str] = []

    async def note(self, reason: str, message: str) -> None:
        self.events.append(reason)

    warn = note


class Connection:
    async def block_hash(self, block: int) -> str:
        return f"0xhash{block}"


class Stage:
    def __init__(self) -> None:
        self.server, self.store, self.recorder = Server(), Store(), Recorder()
        self.mirror: Mirror[Round] = Mirror(self.server, "/x", parse=parse_round, changed=lambda: None)  # type: ignore[arg-type]
        self.start()

    def start(self) -> None:
        """Start the pod, once more."""
        tools = Tools(self.server, self.mirror, self.store, self.recorder, Metrics())  # type: ignore[arg-type]
        self.competitions = Competitions(tools, namespace="ns", uid="me-uid")

    async def run(self, competition: Competition, block: int) -> Any:
        return await self.competitions.run(ME, competition, block=block, connection=Connection())  # type: ignore[arg-type]

    def report(self, name: str, *, state: str = "Succeeded", condition: str = "", model: str = "m1") -> None:
        obj = self.server.rounds[name]
        entry = {"model": model, "state": state, "reason": "Evaluated"}
        entry |= {"score": "0.500000"} if state == "Succeeded" else {}
        time = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
        held = [{"type": condition, "status": "True", "reason": "RoundComplete", **time}] if condition else []
        obj["status"] = {"results": [entry], "conditions": held}
        self.mirror.put(obj)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_round_is_created_once(stage: Stage, competition: Make) -> None:
    standing = await stage.run(competition(), 1050)
    assert standing.plan.latest.name == "val-fc-10"
    assert stage.server.rounds["val-fc-10"]["spec"]["tasks"]["seed"] == "0xhash1000"
    await stage.run(competition(), 1060)
    assert stage.recorder.events == ["RoundCreated"]


async def test_a_round_that_an_earlier_attempt_made_is_adopted(stage: Stage, competition: Make) -> None:
    await stage.run(competition(), 1050)
    stage.mirror.drop("val-fc-10")
    standing = await stage.run(competition(), 1050)
    assert (standing.problem, standing.plan.latest.name) == ("", "val-fc-10")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"ownerReferences": [{"uid": "another"}]}, "not this Validator's", id="someone else's"),
        pytest.param({"annotations": {"bitagent.io/epoch-block": "10"}}, "another schedule", id="of another schedule"),
    ],
)
async def test_a_name_that_is_taken_is_reported(
    stage: Stage, competition: Make, change: dict[str, Any], problem: str
) -> None:
    await stage.run(competition(), 1050)
    stage.server.rounds["val-fc-10"]["metadata"] |= change
    stage.mirror.drop("val-fc-10")
    assert problem in (await stage.run(competition(), 1050)).problem


async def test_a_refused_round_is_reported_and_an_absent_server_is_not(stage: Stage, competition: Make) -> None:
    stage.server.refusal = ApiError("422 count is too large", status=422)
    assert "count is too large" in (await stage.run(competition(), 1050)).problem
    await stage.run(competition(), 1051)
    assert stage.recorder.events == ["RoundRefused"], "told once, not at every block"
    stage.server.refusal = ApiError("no answer", status=0)
    with pytest.raises(ApiError):
        await stage.run(competition(), 1050)


async def test_scores_are_taken_over_before_anything_is_deleted(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    one = competition(historyLimit=1)
    for block in (1050, 1150, 1250):
        await stage.run(one, block)
        stage.report(f"val-fc-{block // 100}", condition="Complete")
    assert len(stage.server.rounds) == 3, "nothing is scored yet"
    stage.store.broken = True
    with pytest.raises(ApiError):
        await stage.competitions.take_over_scores([one], subnet())
    await stage.run(one, 1260)
    assert len(stage.server.rounds) == 3, "nor written down"
    stage.store.broken = False
    await stage.competitions.take_over_scores([one], subnet())
    scored = stage.store.state.scored["fc"]
    assert (scored.round, scored.block, scored.scores[HOTKEY].score) == ("val-fc-12", 1200, 0.5)
    await stage.run(one, 1260)
    assert sorted(stage.server.rounds) == ["val-fc-12"]
    await stage.competitions.take_over_scores([one], subnet())
    assert stage.store.state.scored["fc"] is scored


async def test_the_owner_at_the_freeze_gets_the_score(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.run(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    await stage.competitions.take_over_scores([competition()], subnet())
    stage.server.owners = {"m1": OTHER}
    stage.report("val-fc-10", condition="Complete")
    await stage.competitions.take_over_scores([competition()], subnet())
    assert set(stage.store.state.scored["fc"].scores) == {HOTKEY}


async def test_entrants_are_those_of_the_running_round(stage: Stage, competition: Make) -> None:
    await stage.run(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    assert await stage.competitions.entrants("fc") == {HOTKEY}
    stage.report("val-fc-10", condition="Complete")
    assert await stage.competitions.entrants("fc") == set()


async def test_the_owner_at_the_freeze_gets_the_score_from_another_pod(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.run(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    await stage.competitions.take_over_scores([competition()], subnet())
    stage.start()
    stage.server.owners = {}
    stage.report("val-fc-10", condition="Complete")
    await stage.competitions.take_over_scores([competition()], subnet())
    assert set(stage.store.state.scored["fc"].scores) == {HOTKEY}
    await stage.competitions.take_over_scores([competition()], subnet())
    assert stage.store.state.owners == {}, "needed no more"


async def test_each_complete_round_replaces_the_scores_of_the_one_before(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    for block in (1050, 1150):
        await stage.run(competition(), block)
        stage.report(f"val-fc-{block // 100}", condition="Complete")
        await stage.competitions.take_over_scores([competition()], subnet())
    assert stage.store.state.scored["fc"].round == "val-fc-11"


async def test_rounds_of_an_earlier_validator_of_this_name_do_not_count(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    """It may have been on another chain, whose blocks are far ahead."""
    await stage.run(competition(), 900_050)
    stage.server.rounds["val-fc-9000"]["metadata"]["ownerReferences"] = [{"uid": "gone", "controller": True}]
    stage.report("val-fc-9000", condition="Complete")
    await stage.competitions.take_over_scores([competition()], subnet())
    assert stage.store.state.scored == {}
    standing = await stage.run(competition(), 1050)
    assert standing.plan.latest.name == "val-fc-10"


async def test_competitions_know_only_their_own_rounds(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    both = [competition(), competition(id="other")]
    await stage.run(both[0], 1050)
    stage.report("val-fc-10", condition="Complete")
    await stage.competitions.take_over_scores(both, subnet())
    assert set(stage.store.state.scored) == {"fc"}
    await stage.run(both[1], 1050)
    assert sorted(stage.server.rounds) == ["val-fc-10", "val-other-10"]


@pytest.mark.parametrize("model", ["nobodys", "unreadable", "deleted"])
async def test_a_model_without_a_known_owner_pays_nobody(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], model: str
) -> None:
    await stage.run(competition(), 1050)
    stage.report("val-fc-10", condition="Complete", model=model)
    await stage.competitions.take_over_scores([competition()], subnet())
    assert stage.store.state.scored["fc"].scores == {}
