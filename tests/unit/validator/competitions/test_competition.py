"""Rounds on an API server made of dictionaries: create, adopt, publish seeds, record scores, delete."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.seeds import SeedFrom
from bitagent_crds.validator import Competition
from bitagent_kube.errors import ApiError
from bitagent_kube.informer import Informer
from bitagent_kube.resources import MODELS, ROUNDS, ApiResource
from bitagent_validator.chain.connection import CommitmentsUnreadable
from bitagent_validator.chain.facts import Commitment, Subnet
from bitagent_validator.competitions.competition import CompetitionController
from bitagent_validator.competitions.seed_secrets import SeedSecrets
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import Round, ValidatorObject, parse_round
from bitagent_validator.services import Services
from bitagent_validator.state.documents import State

ME = ValidatorObject("val", "ns", "me-uid", 1, None, {})
HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
OTHER = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
Make = Callable[..., Competition]


class Server:
    """EvalRounds and MinerModels by name; `refusal` is raised by the next create."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, Any]] = {}
        self.owners = {"m1": HOTKEY}
        self.claims: dict[str, int] = {}
        """commitBlocks by model."""
        self.discovered: list[str] = []
        """Models that discovery made."""
        self.refusal: ApiError | None = None

    async def get(self, resource: ApiResource, name: str) -> dict[str, Any] | None:
        assert resource is ROUNDS
        return self.rounds.get(name)

    async def list(self, resource: ApiResource, *, labels: str = "") -> list[dict[str, Any]]:
        assert resource is MODELS
        if labels:
            assert labels == "app.kubernetes.io/managed-by=bitagent-discovery"
            return [{"metadata": {"name": name}} for name in self.discovered]
        source = {"huggingFace": {"repo": "a/b"}}
        specs: dict[str, dict[str, Any]] = {
            name: {"source": source, "miner": {"hotkey": hotkey}} for name, hotkey in self.owners.items()
        }
        for name, block in self.claims.items():
            specs[name]["miner"]["commitBlock"] = block
        specs["unowned"] = {"source": source}
        specs["unreadable"] = {"surprise": 1}
        return [{"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec} for name, spec in specs.items()]

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        name = body["metadata"]["name"]
        if name in self.rounds:
            raise ApiError(code=409, reason="AlreadyExists", message="exists")
        self.rounds[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}", "resourceVersion": "1"}}
        return self.rounds[name]

    async def merge(self, resource: ApiResource, name: str, change: dict[str, Any]) -> dict[str, Any] | None:
        assert resource is ROUNDS
        if self.refusal:
            raise self.refusal
        if name not in self.rounds:
            return None
        obj = copy.deepcopy(self.rounds[name])
        obj["spec"]["tasks"]["seedFrom"] |= change["spec"]["tasks"]["seedFrom"]
        obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
        self.rounds[name] = obj
        return obj

    async def delete(self, resource: ApiResource, name: str, *, uid: str) -> None:
        assert resource is ROUNDS
        assert self.rounds[name]["metadata"]["uid"] == uid
        del self.rounds[name]


class Store:
    def __init__(self) -> None:
        self.state = State()
        self.broken = False

    async def save(self, state: State) -> None:
        if self.broken:
            raise ApiError(code=0, reason="NoAnswer", message="away")
        self.state = state


class Events:
    def __init__(self) -> None:
        self.posted: list[str] = []

    async def normal(self, reason: str, message: str) -> None:
        self.posted.append(reason)

    warning = normal


class Connection:
    """A chain whose block N has the hash N; it finalises blocks of 12 seconds."""

    genesis = "0xgenesis"
    block_seconds = 12.0

    def __init__(self) -> None:
        self.commitments_by_hotkey: dict[str, Commitment] = {}
        self.pages: list[dict[str, Commitment]] = []
        """What is returned before that, one reading after the other."""
        self.read: list[int] = []
        self.unreadable = False

    async def block_hash(self, block: int) -> str:
        return f"0x{block:064x}"

    async def commitments(self, netuid: int, *, block: int) -> dict[str, Commitment]:
        self.read.append(block)
        if self.unreadable:
            raise CommitmentsUnreadable("a commitment of another version")
        return self.pages.pop(0) if self.pages else self.commitments_by_hotkey


class Leaderboards:
    """Rounds whose leaderboard was published."""

    def __init__(self) -> None:
        self.published: list[str] = []

    async def publish(self, rounds: list[Round]) -> None:
        self.published += [each.name for each in rounds]


class Stage:
    def __init__(self) -> None:
        self.leaderboards: Any = Leaderboards()
        self.server, self.store, self.events, self.chain = Server(), Store(), Events(), Connection()
        self.start()

    def start(self, *, synced: bool = True, key: bytes = b"k" * 32, seeds: Path = Path("/nowhere")) -> None:
        """Start the pod; not synced: its informer has missed all rounds."""
        self.informer = Informer(self.server, ROUNDS, parse=parse_round, changed=lambda: None)  # type: ignore[arg-type]
        for obj in self.server.rounds.values() if synced else ():
            self.informer.put(obj)
        services = Services(self.server, self.informer, self.store, self.events, Metrics())  # type: ignore[arg-type]
        secrets = SeedSecrets(key, validator_uid="me-uid", netuid=20, directory=seeds)
        self.competitions = CompetitionController(
            services, uid="me-uid", secrets=secrets, leaderboards=self.leaderboards
        )

    async def reconcile(self, competition: Competition, block: int) -> Any:
        chain: Any = self.chain
        return await self.competitions.reconcile(ME, competition, block=block, connection=chain)

    def seed(self, name: str = "val-fc-10") -> dict[str, Any]:
        """What the round knows about its seed."""
        found: dict[str, Any] = self.server.rounds[name]["spec"]["tasks"]["seedFrom"]
        return found

    async def record(self, competitions: list[Competition], subnet: Callable[..., Subnet]) -> None:
        neuron = subnet().neurons["a"]
        facts = subnet(block=2000, neurons={HOTKEY: replace(neuron, hotkey=HOTKEY)})
        for competition in competitions:
            await self.competitions.record_scores(competition, facts)

    async def entrants(self, competition: Competition, block: int) -> frozenset[str]:
        return (await self.competitions.standings(competition, block=block)).entrants

    def report(
        self,
        name: str,
        *,
        state: str = "Succeeded",
        condition: str = "",
        model: str = "m1",
        score: str = "0.500000",
        **more: Any,
    ) -> None:
        obj = self.server.rounds[name]
        entry = {"model": model, "state": state, "reason": "Evaluated", **more}
        entry |= {"score": score} if state == "Succeeded" else {}
        time = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
        held = [{"type": condition, "status": "True", "reason": "RoundComplete", **time}] if condition else []
        obj["status"] = {"results": [entry], "conditions": held, "startedAt": "2026-01-01T00:00:00Z"}
        obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
        self.informer.put(obj)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_round_is_created_once(stage: Stage, competition: Make) -> None:
    status = await stage.reconcile(competition(), 1050)
    assert status.plan.latest.name == "val-fc-10"
    assert set(stage.seed()) == {"block", "secretDigest"}
    await stage.reconcile(competition(), 1060)
    assert stage.events.posted == ["RoundCreated"]


async def test_epochs_that_had_no_round_are_counted_once(stage: Stage, competition: Make) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", condition="Complete")
    await stage.reconcile(competition(), 1350)
    await stage.reconcile(competition(), 1351)
    assert stage.events.posted == ["RoundCreated", "RoundCreated", "EpochsSkipped"]


async def test_a_round_that_an_earlier_attempt_made_is_adopted(stage: Stage, competition: Make) -> None:
    await stage.reconcile(competition(), 1050)
    stage.start(synced=False)
    status = await stage.reconcile(competition(), 1050)
    assert (status.problem, status.plan.latest.name) == ("", "val-fc-10")


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
    await stage.reconcile(competition(), 1050)
    stage.server.rounds["val-fc-10"]["metadata"] |= change
    stage.start(synced=False)
    assert problem in (await stage.reconcile(competition(), 1050)).problem


async def test_a_refused_round_is_reported_and_an_absent_server_is_not(stage: Stage, competition: Make) -> None:
    stage.server.refusal = ApiError(code=422, reason="Invalid", message="count is too large")
    assert "count is too large" in (await stage.reconcile(competition(), 1050)).problem
    await stage.reconcile(competition(), 1051)
    assert stage.events.posted == ["RoundRefused"], "posted once, not at every block"
    stage.server.refusal = ApiError(code=0, reason="NoAnswer", message="no answer")
    with pytest.raises(ApiError):
        await stage.reconcile(competition(), 1050)


@pytest.mark.parametrize("state", ["Polished", "Succeeded"])
async def test_a_round_that_this_version_cannot_read_is_reported(stage: Stage, competition: Make, state: str) -> None:
    """No other round starts while there is one: a person has to know, who can upgrade or delete it."""
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", state=state, condition="Complete")
    status = await stage.reconcile(competition(), 1150)
    started = "val-fc-11" in stage.server.rounds
    assert (started, "val-fc-10" in status.problem) == ((False, True) if state == "Polished" else (True, False))


async def test_scores_are_recorded_before_anything_is_deleted(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    one = competition(historyLimit=1)
    for block in (1050, 1150, 1250):
        await stage.reconcile(one, block)
        stage.report(f"val-fc-{block // 100}", condition="Complete")
    assert len(stage.server.rounds) == 3, "nothing is scored yet"
    stage.store.broken = True
    with pytest.raises(ApiError):
        await stage.record([one], subnet)
    await stage.reconcile(one, 1260)
    assert len(stage.server.rounds) == 3, "nor recorded"
    stage.store.broken = False
    await stage.record([one], subnet)
    scored = stage.store.state.scored["fc"]
    assert (scored.round, scored.block) == ("val-fc-12", 1200)
    assert [result.score for result in scored.scores[HOTKEY].results if result] == [0.5] * 3, "of every round"
    await stage.reconcile(one, 1260)
    assert sorted(stage.server.rounds) == ["val-fc-12"]
    await stage.record([one], subnet)
    assert stage.store.state.scored["fc"] is scored


async def test_leaderboards_are_published_before_their_round_is_deleted(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    one = competition(historyLimit=1)
    for block in (1050, 1150):
        await stage.reconcile(one, block)
        stage.report(f"val-fc-{block // 100}", condition="Complete")
    await stage.record([one], subnet)
    stage.leaderboards.published.clear()
    await stage.reconcile(one, 1160)
    assert sorted(stage.leaderboards.published) == ["val-fc-10", "val-fc-11"]
    assert sorted(stage.server.rounds) == ["val-fc-11"]


async def test_a_surplus_round_that_is_deleted_meanwhile_is_no_failure(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    one = competition(historyLimit=1)
    for block in (1050, 1150, 1250):
        await stage.reconcile(one, block)
        stage.report(f"val-fc-{block // 100}", condition="Complete")
    await stage.record([one], subnet)
    delete, deleted = stage.server.delete, []

    async def delete_two(resource: ApiResource, name: str, *, uid: str) -> None:
        """A person deletes the next one while this request is sent."""
        await delete(resource, name, uid=uid)
        deleted.append(name)
        stage.informer.drop(stage.server.rounds.pop("val-fc-11")["metadata"]["uid"])

    stage.server.delete = delete_two  # type: ignore[method-assign]
    await stage.reconcile(one, 1260)
    assert (deleted, sorted(stage.server.rounds)) == (["val-fc-10"], ["val-fc-12"])


async def test_the_owner_at_the_freeze_gets_the_score(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    await stage.record([competition()], subnet)
    stage.server.owners = {"m1": OTHER}
    stage.report("val-fc-10", condition="Complete")
    await stage.record([competition()], subnet)
    assert set(stage.store.state.scored["fc"].scores) == {HOTKEY}


@pytest.mark.parametrize("seen", [False, True], ids=["first seen when it is complete", "seen while it runs"])
@pytest.mark.parametrize(
    ("frozen", "paid"),
    [
        pytest.param(
            {"modelUid": "uid-m1", "hotkey": HOTKEY}, {HOTKEY}, id="another hotkey than its MinerModel has now"
        ),
        pytest.param({"modelUid": "uid-before", "hotkey": HOTKEY}, {HOTKEY}, id="another object of the same name"),
        pytest.param({"modelUid": "uid-m1"}, set(), id="a model of no miner"),
        pytest.param({}, set(), id="a round of an earlier operator: as its MinerModel says, which is not registered"),
    ],
)
async def test_the_hotkey_that_the_round_froze_gets_the_score(
    stage: Stage,
    competition: Make,
    subnet: Callable[..., Subnet],
    frozen: dict[str, str],
    paid: set[str],
    *,
    seen: bool,
) -> None:
    stage.server.owners = {"m1": OTHER}
    await stage.reconcile(competition(), 1050)
    if seen:
        stage.report("val-fc-10", state="Running")  # before the operator froze the commits
        await stage.record([competition()], subnet)
    stage.report("val-fc-10", condition="Complete", **frozen)
    await stage.record([competition()], subnet)
    assert set(stage.store.state.scored["fc"].scores) == paid


async def test_entrants_are_those_of_the_running_round(stage: Stage, competition: Make) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    assert await stage.entrants(competition(), 1099) == {HOTKEY}
    stage.report("val-fc-10", condition="Complete")
    assert await stage.entrants(competition(), 1099) == set()


async def test_miners_of_a_failed_round_are_no_newcomers_any_more(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", condition="Failed", state="InfraFault")
    await stage.record([competition()], subnet)
    assert (await stage.competitions.standings(competition(), block=1099)).tried == {HOTKEY}
    stage.start()
    await stage.reconcile(competition(), 1150)
    stage.report("val-fc-11", state="Running")
    standings = await stage.competitions.standings(competition(), block=1199)
    assert (standings.entrants, standings.tried) == ({HOTKEY}, {HOTKEY}), "another pod knows it too"
    stage.report("val-fc-11", condition="Complete")
    await stage.record([competition()], subnet)
    assert (await stage.competitions.standings(competition(), block=1199)).tried == set()
    assert HOTKEY in stage.store.state.scored["fc"].scores


async def test_a_failed_round_that_is_retried_pays_when_it_completes(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    """The next one starts after it."""
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", condition="Failed", state="InfraFault")
    await stage.record([competition()], subnet)
    stage.report("val-fc-10", state="Running")
    await stage.reconcile(competition(), 1150)
    assert list(stage.server.rounds) == ["val-fc-10"]
    stage.report("val-fc-10", condition="Complete")
    await stage.record([competition()], subnet)
    assert stage.store.state.scored["fc"].round == "val-fc-10"
    assert HOTKEY in stage.store.state.scored["fc"].scores
    await stage.reconcile(competition(), 1160)
    assert "val-fc-11" in stage.server.rounds


async def test_a_retry_that_comes_after_the_next_round_changes_no_weights(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", condition="Failed", state="InfraFault")
    await stage.reconcile(competition(), 1150)
    stage.report("val-fc-11", condition="Complete", score="0.750000")
    await stage.record([competition()], subnet)
    stage.report("val-fc-10", condition="Complete", score="0.250000")
    await stage.record([competition()], subnet)
    assert stage.store.state.scored["fc"].round == "val-fc-11"


async def test_a_round_that_does_not_end_pays_no_newcomers(stage: Stage, competition: Make) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    assert (await stage.competitions.standings(competition(), block=1099)).tried == set()
    assert (await stage.competitions.standings(competition(), block=1100)).tried == {HOTKEY}


async def test_a_lost_state_is_rebuilt_from_the_rounds(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    for epoch, score in ((10, "0.100000"), (11, "0.200000"), (12, "0.300000")):
        await stage.reconcile(competition(), epoch * 100 + 50)
        stage.report(f"val-fc-{epoch}", condition="Complete", score=score)
        await stage.record([competition()], subnet)
    await stage.reconcile(competition(), 1260)
    before = stage.store.state
    stage.store.state = State()
    await stage.record([competition()], subnet)
    assert [result.score for result in before.scored["fc"].scores[HOTKEY].results if result] == [0.1, 0.2, 0.3]
    assert stage.store.state.scored["fc"].scores[HOTKEY].results == before.scored["fc"].scores[HOTKEY].results[1:], (
        "historyLimit is 2: the first round is gone"
    )


async def test_the_owner_at_the_freeze_gets_the_score_from_another_pod(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", state="Running")
    await stage.record([competition()], subnet)
    stage.start()
    stage.server.owners = {}
    stage.report("val-fc-10", condition="Complete")
    await stage.record([competition()], subnet)
    assert set(stage.store.state.scored["fc"].scores) == {HOTKEY}
    await stage.record([competition()], subnet)
    assert stage.store.state.owners == {}, "no longer needed"


async def test_each_complete_round_replaces_the_scores_of_the_one_before(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    for block in (1050, 1150):
        await stage.reconcile(competition(), block)
        stage.report(f"val-fc-{block // 100}", condition="Complete")
        await stage.record([competition()], subnet)
    assert stage.store.state.scored["fc"].round == "val-fc-11"


async def test_rounds_of_an_earlier_validator_of_this_name_do_not_count(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    """It may have been on another chain, whose blocks are far ahead."""
    await stage.reconcile(competition(), 900_050)
    stage.server.rounds["val-fc-9000"]["metadata"]["ownerReferences"] = [{"uid": "gone", "controller": True}]
    stage.report("val-fc-9000", condition="Complete")
    await stage.record([competition()], subnet)
    assert stage.store.state.scored == {}
    status = await stage.reconcile(competition(), 1050)
    assert status.plan.latest.name == "val-fc-10"


async def test_competitions_know_only_their_own_rounds(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    both = [competition(), competition(id="other")]
    await stage.reconcile(both[0], 1050)
    stage.report("val-fc-10", condition="Complete")
    await stage.record(both, subnet)
    assert set(stage.store.state.scored) == {"fc"}
    await stage.reconcile(both[1], 1050)
    assert sorted(stage.server.rounds) == ["val-fc-10", "val-other-10"]


@pytest.mark.parametrize("model", ["unowned", "unreadable", "deleted"])
async def test_a_model_without_a_known_owner_gives_no_score(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], model: str
) -> None:
    await stage.reconcile(competition(), 1050)
    stage.report("val-fc-10", condition="Complete", model=model)
    await stage.record([competition()], subnet)
    assert stage.store.state.scored["fc"].scores == {}


def fixed(stage: Stage, name: str = "val-fc-10", **more: Any) -> None:
    """The operator has frozen the set and fixed its model."""
    stage.report(name, state="Pending", commit="c" * 40, repo="a/b", **more)


async def step(stage: Stage, competition: Competition, subnet: Callable[..., Subnet], block: int) -> Any:
    """One pass, as the loop makes it."""
    await stage.record([competition], subnet)
    return await stage.reconcile(competition, block)


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        pytest.param(1000, 1025, id="at once"),
        pytest.param(1012, 1025, id="a little late"),
        pytest.param(1013, 1050, id="too late for the first block"),
        pytest.param(1099, 1125, id="at the end of the epoch"),
    ],
)
async def test_the_seed_needs_a_block_that_comes_later(
    stage: Stage, competition: Make, created: int, expected: int
) -> None:
    await stage.reconcile(competition(), created)
    assert stage.seed()["block"] == expected


async def test_the_seed_is_published_once_its_block_is_final_and_the_models_are_fixed(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1000)
    digest = stage.seed()["secretDigest"]
    fixed(stage)
    await step(stage, competition(), subnet, 1024)
    assert "secret" not in stage.seed(), "the block is not final"
    await step(stage, competition(), subnet, 1025)
    found = SeedFrom.model_validate(stage.seed())
    assert (found.block_hash, found.secret_digest) == (f"0x{1025:064x}", digest)
    assert found.seed().startswith("0x")
    posted = list(stage.events.posted)
    await step(stage, competition(), subnet, 1026)
    assert stage.events.posted == posted == ["RoundCreated", "SeedPublished"]


async def test_a_set_that_is_not_frozen_is_waited_for(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    """The operator was away; a published seed would leave it nothing to freeze."""
    await stage.reconcile(competition(), 1000)
    await step(stage, competition(), subnet, 1900)
    assert "secret" not in stage.seed()
    fixed(stage)
    await step(stage, competition(), subnet, 1901)
    assert "secret" in stage.seed()


async def test_a_model_that_cannot_be_resolved_delays_the_seed_for_a_while(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1000)
    stage.report("val-fc-10", state="Pending")
    await step(stage, competition(), subnet, 1049)
    assert "secret" not in stage.seed()
    await step(stage, competition(), subnet, 1050)
    assert "secret" in stage.seed()


@pytest.mark.parametrize("moment", ["after the creation", "before the publication", "at the publication"])
async def test_a_pod_that_replaces_this_one_has_the_same_secret(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], moment: str
) -> None:
    await stage.reconcile(competition(), 1000)
    if moment == "after the creation":
        stage.start(synced=False)
        await stage.reconcile(competition(), 1001)
    fixed(stage)
    if moment == "before the publication":
        stage.start()
    if moment == "at the publication":
        stage.server.refusal = ApiError(code=0, reason="NoAnswer", message="killed")
        with pytest.raises(ApiError):
            await step(stage, competition(), subnet, 1025)
        stage.server.refusal = None
        stage.start()
    await step(stage, competition(), subnet, 1030)
    SeedFrom.model_validate(stage.seed()).seed()
    assert stage.server.rounds.keys() == {"val-fc-10"}


async def test_a_round_whose_secret_is_of_another_key_is_replaced(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    """Its seed could not be published any more, and it would wait for a day."""
    await stage.reconcile(competition(), 1000)
    before = stage.seed()
    fixed(stage)
    stage.start(key=b"another")
    await step(stage, competition(), subnet, 1010)
    assert stage.events.posted == ["RoundCreated", "RoundReplaced", "RoundCreated"]
    assert stage.seed()["secretDigest"] != before["secretDigest"]


async def test_a_round_whose_seed_is_published_is_kept_with_another_key(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1000)
    fixed(stage)
    await step(stage, competition(), subnet, 1025)
    stage.start(key=b"another")
    await step(stage, competition(), subnet, 1030)
    assert "RoundReplaced" not in stage.events.posted


async def test_a_secret_that_cannot_be_read_is_reported(stage: Stage, competition: Make, tmp_path: Path) -> None:
    template = competition().round.to_wire()
    template["tasks"]["secretRef"] = {"name": "shared", "key": "seed"}
    shared = competition(round=template)
    stage.start(seeds=tmp_path)
    status = await stage.reconcile(shared, 1000)
    assert "tasks.secretRef" in status.problem
    assert not stage.server.rounds
    (tmp_path / "fc").write_text("x" * 32)
    assert (await stage.reconcile(shared, 1001)).problem == ""
    assert "secretRef" not in stage.server.rounds["val-fc-10"]["spec"]["tasks"]


@pytest.mark.parametrize(
    ("text", "block", "refused"),
    [
        pytest.param("a/b", 900, False, id="the same model"),
        pytest.param("a/other", 900, True, id="another model"),
        pytest.param("a/b", 950, True, id="a later block than claimed"),
    ],
)
async def test_a_model_whose_claim_the_chain_contradicts_earns_nothing(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], text: str, block: int, refused: bool
) -> None:
    stage.server.claims = {"m1": 900}
    stage.chain.commitments_by_hotkey = {HOTKEY: Commitment(text, block)}
    await stage.reconcile(competition(), 1000)
    fixed(stage)
    status = await step(stage, competition(), subnet, 1025)
    assert stage.chain.read == [1025], "as of the seed's block"
    assert ("ClaimRefused" in stage.events.posted, set(status.refused)) == (refused, {"m1"} if refused else set())
    stage.start()
    stage.report("val-fc-10", condition="Complete")
    await stage.record([competition()], subnet)
    assert set(stage.store.state.scored["fc"].scores) == (set() if refused else {HOTKEY})


@pytest.mark.parametrize(("discovered", "refused"), [(["m1"], False), (["m2"], True)])
async def test_a_commitment_set_again_keeps_the_block_that_discovery_saw(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], discovered: list[str], refused: bool
) -> None:
    stage.server.claims, stage.server.discovered = {"m1": 900}, discovered
    stage.chain.commitments_by_hotkey = {HOTKEY: Commitment("a/b", 950)}
    await stage.reconcile(competition(), 1000)
    fixed(stage)
    status = await step(stage, competition(), subnet, 1025)
    assert set(status.refused) == ({"m1"} if refused else set())


@pytest.mark.parametrize(
    ("unsupported", "pages", "refused"),
    [
        pytest.param("Believe", [{}], False, id="believed"),
        pytest.param("Refuse", [{}, {}], True, id="refused"),
        pytest.param("Refuse", [{}, {HOTKEY: Commitment(f"a/b@{'c' * 40}", 900)}], False, id="the node lost it once"),
        pytest.param("Refuse", [{HOTKEY: Commitment(f"a/b@{'c' * 40}", 900)}], False, id="supported"),
    ],
)
async def test_a_claim_without_a_commitment(
    stage: Stage,
    competition: Make,
    subnet: Callable[..., Subnet],
    unsupported: str,
    pages: list[dict[str, Commitment]],
    refused: bool,
) -> None:
    stage.server.claims, stage.chain.pages = {"m1": 900}, list(pages)
    strict = competition(unsupportedClaims=unsupported)
    await stage.reconcile(strict, 1000)
    fixed(stage)
    status = await step(stage, strict, subnet, 1025)
    assert stage.chain.read == [1025] * len(pages)
    assert set(status.refused) == ({"m1"} if refused else set())
    assert ("ClaimsBelieved" in stage.events.posted) is (unsupported == "Believe")


async def test_without_claims_the_chain_is_not_asked(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    await stage.reconcile(competition(), 1000)
    fixed(stage)
    await step(stage, competition(), subnet, 1025)
    assert stage.chain.read == []


async def test_commitments_that_no_node_has_any_longer_are_believed_aloud(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    stage.server.claims = {"m1": 900}
    await stage.reconcile(competition(), 1000)
    fixed(stage)
    await step(stage, competition(), subnet, 1500)
    assert stage.chain.read == []
    assert stage.events.posted == ["RoundCreated", "ClaimsNotChecked", "SeedPublished"]


def sharing(stage: Stage, competition: Make, folder: Path) -> Competition:
    """Start the pod with a key that other validators have as well."""
    template = competition().round.to_wire()
    template["tasks"]["secretRef"] = {"name": "shared", "key": "seed"}
    (folder / "fc").write_text("x" * 32)
    stage.start(seeds=folder)
    return competition(round=template)


async def test_a_shared_round_that_was_frozen_just_now_is_kept(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], tmp_path: Path
) -> None:
    """The watch has not brought it yet."""
    shared = sharing(stage, competition, tmp_path)
    await step(stage, shared, subnet, 1000)
    seen, stage.informer.put = stage.informer.put, lambda _: None  # type: ignore[method-assign]
    stage.server.rounds = copy.deepcopy(stage.server.rounds)
    fixed(stage)
    stage.informer.put = seen  # type: ignore[method-assign]
    for block in (1025, 1026):
        await step(stage, shared, subnet, block)
    assert stage.events.posted == ["RoundCreated", "SeedPublished"]


async def test_a_shared_round_that_is_not_frozen_in_time_gets_another_block(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet], tmp_path: Path
) -> None:
    shared = sharing(stage, competition, tmp_path)
    await step(stage, shared, subnet, 1000)
    first = stage.seed()
    await step(stage, shared, subnet, 1025)
    assert stage.events.posted == ["RoundCreated", "RoundReplaced", "RoundCreated"]
    assert stage.seed()["block"] == 1050
    assert stage.seed()["secretDigest"] != first["secretDigest"], "the first secret may be public"


async def test_a_commitment_that_cannot_be_read_stops_no_round(
    stage: Stage, competition: Make, subnet: Callable[..., Subnet]
) -> None:
    """Anyone may commit anything."""
    stage.server.claims, stage.chain.unreadable = {"m1": 900}, True
    await stage.reconcile(competition(), 1000)
    fixed(stage)
    await step(stage, competition(), subnet, 1025)
    assert stage.events.posted == ["RoundCreated", "ClaimsNotChecked", "SeedPublished"]
