"""When steps begin, what they change and what is reported; pools on the API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.examiner import Examiner as Fake
from tests.examiner import listening

from bitagent_crds.conditions import ConditionStatus, Reason
from bitagent_crds.examiner import ExaminerReason
from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_kube.errors import ApiError
from bitagent_local.chain import keys
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import RAO, Axon, Subnet
from bitagent_validator.competitions.seed_secrets import SeedSecrets
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import Round, RoundPhase, ValidatorObject, parse_round
from bitagent_validator.online import step as steps
from bitagent_validator.online.attempt import StepAttempts
from bitagent_validator.online.controller import VERSION, OnlineController
from bitagent_validator.online.examiner import Examiner
from bitagent_validator.online.pools import PoolRounds
from bitagent_validator.online.transcripts import Transcripts
from bitagent_validator.state.documents import State
from bitagent_validator.tracking.process import RunSettings
from bitagent_validator.wallet import Account
from bitagent_wire.messages import Message, QueryTask
from bitagent_wire.outcomes import Answer, MinerAddress, Outcome

Make = Callable[..., Any]
ME = keys.address("//Validator")
A, B, C = (keys.address(f"//{name}") for name in "abc")


class Tracking:
    """What is sent, and by which settings."""

    def __init__(self) -> None:
        self.settings: RunSettings | None = None
        self.rows: list[dict[str, Any]] = []

    async def configure(self, settings: RunSettings | None) -> None:
        self.settings = settings

    def put(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows

    async def close(self) -> None:
        pass


class Stage:
    """A controller on a chain at `block`, with an examiner and miners that answer at once."""

    def __init__(self, tmp_path: Path, subnet: Make, neuron: Make, competition: Make) -> None:
        (tmp_path / "hotkey").write_bytes(keys.keyfile("//Validator"))
        self.folder, self.neuron, self._make_competition = tmp_path, neuron, competition
        self.block = 1010
        self.miners = {A: neuron(A, uid=1), B: neuron(B, uid=2), C: neuron(C, uid=3, permit=True, stake=5000 * RAO)}
        self.answers: dict[str, str | Outcome] = {A: "right", B: "half"}
        self._subnet = subnet
        self.state = State()
        self.unsaved: ApiError | None = None
        self.saved_unsaid = False
        """Whether a write is in effect whose answer is lost."""
        self.refused: ApiError | None = None
        self.away: ChainUnavailable | None = None
        self.reads: list[int] = []
        self.rounds: dict[str, Any] = {}
        self.objects: dict[str, Round] = {}
        self.warned: list[str] = []
        self.deleted: list[str] = []
        self.woken = asyncio.Event()
        self.metrics = Metrics()
        self.tracker = Tracking()
        self.tracking: Any = None
        self.online: Any = {"everyBlocks": 10, "pool": {"everyBlocks": 500}}
        self.start()

    def start(self) -> None:
        rounds = SimpleNamespace(objects=self.objects, put=self.put, drop=self.drop)
        services: Any = SimpleNamespace(client=self, store=self, rounds=rounds, events=self, metrics=self.metrics)
        self.controller = OnlineController(
            services,
            pools=PoolRounds(services, SeedSecrets(b"own", validator_uid="u", netuid=20), uid="u"),
            attempts=StepAttempts(
                services,
                Account(ME, self.folder / "hotkey"),
                examiner=lambda: Examiner(self.folder / "socket"),
                open_questions=self.open,
            ),
            transcripts=Transcripts(self.folder / "transcripts"),
            tracker=self.tracker,  # type: ignore[arg-type]
            changed=self.woken.set,
        )

    # The API server
    async def create_or_get(self, body: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        if self.refused:
            raise self.refused
        name = body["metadata"]["name"]
        if name in self.rounds:
            return self.rounds[name], False
        self.rounds[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}"}}
        return self.rounds[name], True

    async def delete(self, _: Any, name: str, *, uid: str) -> None:
        assert uid == f"uid-{name}"
        if self.refused:
            raise self.refused
        self.deleted.append(name)
        del self.rounds[name]

    def put(self, obj: dict[str, Any]) -> None:
        self.objects[obj["metadata"]["name"]] = parse_round(obj)

    def drop(self, uid: str) -> None:
        for name in [name for name, round_ in self.objects.items() if round_.uid == uid]:
            del self.objects[name]

    async def warning(self, reason: str, text: str) -> None:
        self.warned.append(f"{reason}: {text}")

    async def save(self, state: State) -> None:
        if self.unsaved and not self.saved_unsaid:
            raise self.unsaved
        self.state = State.model_validate_json(state.model_dump_json())
        if self.unsaved:
            raise self.unsaved

    # The chain
    async def block_hash(self, block: int) -> str:
        if self.away:
            raise self.away
        return f"0xhash{block}"

    def subnet_at(self, block: int) -> Subnet:
        me = self.neuron(ME, uid=0, permit=True, stake=9000 * RAO)
        found: Subnet = self._subnet(block=block, neurons={ME: me} | self.miners, hotkey=ME)
        return found

    async def subnet(self, netuid: int, *, hotkey: str, block: int) -> Subnet:
        assert (netuid, hotkey) == (20, ME)
        self.reads.append(block)
        return self.subnet_at(block)

    # The miners
    @asynccontextmanager
    async def open(self, signer: Any, *, local: bool, known: Any) -> AsyncIterator[Any]:
        assert (signer.ss58_address, local) == (ME, True)
        yield self

    async def ask_all(self, messages: Mapping[MinerAddress, Message], **_: Any) -> dict[str, Answer[Any]]:
        found: dict[str, Answer[Any]] = {}
        for miner, message in messages.items():
            given = self.answers[miner.hotkey]
            if isinstance(given, Outcome) or not isinstance(message, QueryTask):
                found[miner.hotkey] = Answer(given if isinstance(given, Outcome) else Outcome.TIMEOUT, 1.0)
            else:
                answered = message.model_copy(update={"response": given})
                found[miner.hotkey] = Answer(Outcome.ANSWERED, 1.0, message=answered)
        return found

    def competition(self) -> Competition:
        made: Competition = self._make_competition(**({"online": self.online} if self.online is not None else {}))
        return made

    async def one_pass(self, *, blocked: str = "") -> None:
        spec = ValidatorSpec.model_validate(
            {
                "netuid": 20,
                "chain": {"endpoints": ["ws://chain"]},
                "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
                "competitions": [self.competition().to_wire()],
            }
            | ({"tracking": self.tracking} if self.tracking else {})
        )
        me = ValidatorObject("val", "ns", "u", 1, spec, {})
        connection: Any = SimpleNamespace(
            url="ws://chain", genesis="0xg", block_seconds=12.0, block_hash=self.block_hash, subnet=self.subnet
        )
        await self.controller.forget_others([self.competition()])
        await self.controller.reconcile(
            me, self.competition(), self.subnet_at(self.block), connection=connection, blocked=blocked
        )

    async def built(self) -> None:
        """Create the pool, and be the operator: it is built."""
        await self.one_pass()
        for body in self.rounds.values():
            held = {"type": "Complete", "status": "True", "reason": "RoundComplete"}
            body["status"] = {
                "taskSet": {"digest": "sha256:" + "a" * 64, "count": 5, "uri": "x", "baseline": "0.200000"},
                "conditions": [held | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
            }
            self.put(body)

    async def step(self) -> None:
        """Begin the step that is due, wait for its end, and record it."""
        self.woken.clear()
        await self.one_pass()
        await asyncio.wait_for(self.woken.wait(), 60)
        await self.one_pass()

    def value(self) -> tuple[ConditionStatus, Reason]:
        found = self.controller.condition([self.competition()])
        assert found is not None
        return found.status, found.reason


@pytest.fixture
async def stage(
    tmp_path: Path, subnet: Make, neuron: Make, competition: Make, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(steps, "AGAIN_SECONDS", 0.0)
    made = Stage(tmp_path, subnet, neuron, competition)
    for each in (A, B):
        made.miners[each] = neuron(each, uid=made.miners[each].uid, axon=Axon("10.0.0.1", 8091, 4))
    yield made
    await made.controller.close()


async def test_a_pool_that_cannot_be_read_is_named_and_replaced(stage: Stage) -> None:
    await stage.one_pass()
    (first,) = stage.objects
    stage.rounds[first]["spec"]["tasks"]["sources"] = [{"of a later version": {}}]
    stage.put(stage.rounds[first])
    await stage.one_pass()
    assert stage.value() == (ConditionStatus.FALSE, Reason.POOL_UNAVAILABLE)
    found = stage.controller.condition([stage.competition()])
    assert found is not None
    assert first in found.message
    stage.block += 500
    await stage.one_pass()
    await stage.one_pass()
    assert len(stage.objects) == 1
    assert first not in stage.objects
    assert stage.value() == (ConditionStatus.UNKNOWN, Reason.POOL_PENDING)


@pytest.fixture
async def fake(stage: Stage) -> AsyncIterator[Fake]:
    async with listening(stage.folder / "socket", Fake()) as examiner:
        yield examiner


async def test_a_step_from_the_pool_to_the_status(stage: Stage, fake: Fake) -> None:
    await stage.built()
    assert list(stage.rounds) == ["val-fc-o2"], "period 2 has block 1010"
    assert stage.value() == (ConditionStatus.UNKNOWN, Reason.POOL_PENDING)
    await stage.step()
    known = stage.state.online["fc"]
    assert (known.block, known.pool, known.baseline) == (1010, "val-fc-o2", 0.2)
    assert {h: each.mean for h, each in known.means.items()} == {A: pytest.approx(0.7625), B: pytest.approx(0.7375)}
    assert stage.reads == [1010]
    assert fake.tasks[0].pool.round_uid == "uid-val-fc-o2"
    assert stage.value() == (ConditionStatus.TRUE, Reason.ONLINE_STEP_DONE)
    (status,) = stage.controller.status([stage.competition()])
    assert (status.block, status.pool, status.miners) == (1010, "val-fc-o2", 2)
    assert {r.hotkey: (r.outcome, r.score, r.mean) for r in status.results} == {
        A: ("Scored", "1.000000", "0.762500"),
        B: ("Scored", "0.500000", "0.737500"),
    }
    assert {e.hotkey: e.reason.value for e in status.left_out} == {ME: "Own", C: "Validator"}
    sample = stage.metrics.registry.get_sample_value
    labels = {"competition": "fc"}
    assert sample("bitagent_validator_online_steps_total", labels | {"outcome": "Counted"}) == 1
    assert sample("bitagent_validator_online_answers_total", labels | {"outcome": "Scored"}) == 2
    assert sample("bitagent_validator_online_step_block", labels) == 1010
    assert sample("bitagent_validator_online_miners", labels) == 2
    assert sample("bitagent_validator_online_left_out", labels | {"reason": "Validator"}) == 1
    await stage.controller.close()
    (line,) = (stage.folder / "transcripts" / "steps-000001.jsonl").read_text().splitlines()
    assert json.loads(line)["block"] == 1010


async def test_one_step_an_interval_also_after_a_restart(stage: Stage, fake: Fake) -> None:
    await stage.built()
    await stage.step()
    stage.block = 1019
    await stage.one_pass()
    stage.start()
    await stage.one_pass()
    assert len(fake.tasks) == 1
    stage.block = 1023
    await stage.step()
    assert (stage.state.online["fc"].block, stage.reads) == (1020, [1010, 1020])
    assert fake.tasks[0].seed != fake.tasks[1].seed


async def test_two_validators_ask_the_same_miners_the_same_task(
    stage: Stage, fake: Fake, tmp_path_factory: pytest.TempPathFactory, subnet: Make, neuron: Make, competition: Make
) -> None:
    stage.online |= {"sampleSize": 1}
    other = Stage(tmp_path_factory.mktemp("other"), subnet, neuron, competition)
    other.miners, other.online = stage.miners, stage.online
    async with listening(other.folder / "socket", Fake()) as second:
        for each in (stage, other):
            await each.built()
            await each.step()
        assert fake.tasks[0].seed == second.tasks[0].seed
    assert stage.state.online["fc"].means == other.state.online["fc"].means
    assert len(other.state.online["fc"].means) == 1
    await other.controller.close()


async def test_a_state_that_cannot_be_written_is_written_later(stage: Stage, fake: Fake) -> None:
    await stage.built()
    stage.unsaved = ApiError(code=500, reason="InternalError", message="etcd")
    with pytest.raises(ApiError):
        await stage.step()
    stage.unsaved = None
    await stage.one_pass()
    assert stage.state.online["fc"].means[A].count == 1
    assert len(fake.tasks) == 1


async def test_a_step_is_recorded_once_if_the_answer_to_its_write_is_lost(stage: Stage, fake: Fake) -> None:
    await stage.built()
    stage.unsaved, stage.saved_unsaid = ApiError(code=504, reason="Timeout", message="no answer"), True
    with pytest.raises(ApiError):
        await stage.step()
    first = stage.state.online["fc"]
    stage.unsaved = None
    await stage.one_pass()
    assert stage.state.online["fc"] == first
    assert stage.value() == (ConditionStatus.TRUE, Reason.ONLINE_STEP_DONE)


async def test_without_an_examiner_averages_stay(stage: Stage) -> None:
    await stage.built()
    await stage.step()
    assert stage.state.online == {}
    assert stage.value() == (ConditionStatus.FALSE, Reason.EXAMINER_UNAVAILABLE)
    sample = stage.metrics.registry.get_sample_value
    labels = {"competition": "fc", "outcome": "ExaminerUnavailable"}
    assert sample("bitagent_validator_online_steps_total", labels) == 1


@pytest.mark.usefixtures("fake")
async def test_while_no_miner_can_be_reached_averages_stay(stage: Stage) -> None:
    await stage.built()
    await stage.step()
    before = stage.state.online
    stage.block, stage.answers = 1020, {A: Outcome.TIMEOUT, B: Outcome.UNREACHABLE}
    await stage.step()
    assert stage.state.online == before
    assert stage.value() == (ConditionStatus.FALSE, Reason.NO_MINER_ANSWERED)
    stage.block, stage.answers = 1030, {A: Outcome.TIMEOUT, B: "right"}
    await stage.step()
    assert stage.value() == (ConditionStatus.TRUE, Reason.ONLINE_STEP_DONE)
    assert stage.state.online["fc"].means[A].count == 2


@pytest.mark.usefixtures("fake")
async def test_a_chain_that_is_away_fails_the_step_and_no_pass(stage: Stage) -> None:
    await stage.built()
    stage.away = ChainUnavailable("no answer")
    await stage.step()
    assert stage.value() == (ConditionStatus.FALSE, Reason.CHAIN_UNREACHABLE)
    stage.away, stage.block = None, 1020
    await stage.step()
    assert stage.value()[0] is ConditionStatus.TRUE


async def test_without_rights_to_set_weights_no_miner_is_asked(stage: Stage, fake: Fake) -> None:
    await stage.one_pass(blocked="no permit")
    assert (stage.rounds, fake.tasks) == ({}, [])
    assert stage.value() == (ConditionStatus.FALSE, Reason.ROUNDS_NOT_STARTED)


async def test_off_forgets_all(stage: Stage, fake: Fake) -> None:
    stage.tracking = {"wandb": {"project": "p", "mode": "Offline"}}
    await stage.built()
    await stage.step()
    assert stage.tracker.settings is not None
    stage.online = None
    await stage.one_pass()
    assert stage.state.online == {}
    assert stage.controller.condition([stage.competition()]) is None
    assert stage.controller.status([stage.competition()]) == []
    assert (stage.rounds, stage.deleted) == ({}, ["val-fc-o2"])
    assert stage.tracker.settings is None


async def test_pools_that_could_not_be_deleted_are_deleted_by_the_next_process(stage: Stage, fake: Fake) -> None:
    await stage.built()
    stage.online = None
    stage.refused = ApiError(code=500, reason="InternalError", message="etcd")
    with pytest.raises(ApiError):
        await stage.one_pass()
    assert list(stage.rounds) == ["val-fc-o2"]
    stage.refused = None
    stage.start()
    await stage.one_pass()
    assert stage.rounds == {}


@pytest.mark.usefixtures("fake")
async def test_a_step_under_way_ends_when_its_competition_is_gone(stage: Stage) -> None:
    """A competition that was removed as a whole: its averages stay, as its scores do; its pools do not."""
    await stage.built()
    await stage.step()
    before = stage.state.online
    begun, ends = asyncio.Event(), asyncio.Event()

    async def hangs(*_: Any, **__: Any) -> dict[str, Answer[Any]]:
        begun.set()
        try:
            return await asyncio.Future()
        finally:
            ends.set()

    stage.ask_all, stage.block = hangs, 1020  # type: ignore[method-assign]
    await stage.one_pass()
    await asyncio.wait_for(begun.wait(), 60)
    await stage.controller.forget_others([])
    await asyncio.wait_for(ends.wait(), 60)
    assert (stage.rounds, stage.state.online) == ({}, before)


@pytest.mark.usefixtures("fake")
async def test_pools_follow_each_other(stage: Stage) -> None:
    for block in (1010, 1510, 2010, 2510):
        stage.block = block
        await stage.built()
        await stage.one_pass()
    assert sorted(stage.rounds) == ["val-fc-o4", "val-fc-o5"]
    assert stage.deleted == ["val-fc-o2", "val-fc-o3"]
    assert len({body["spec"]["tasks"]["seed"] for body in stage.rounds.values()}) == 2


async def test_a_pool_that_is_refused_is_reported_once(stage: Stage) -> None:
    stage.refused = ApiError(code=403, reason="Forbidden", message="quota")
    await stage.one_pass()
    await stage.one_pass()
    assert len(stage.warned) == 1
    assert stage.value() == (ConditionStatus.FALSE, Reason.POOL_UNAVAILABLE)
    stage.refused = None
    await stage.one_pass()
    assert stage.value() == (ConditionStatus.UNKNOWN, Reason.POOL_PENDING)


@pytest.mark.parametrize(("code", "reason"), [(429, "TooManyRequests"), (503, "Unavailable"), (0, "NoAnswer")])
async def test_a_server_that_asks_to_try_again_refuses_nothing(stage: Stage, code: int, reason: str) -> None:
    stage.refused = ApiError(code=code, reason=reason, message="later")
    with pytest.raises(ApiError):
        await stage.one_pass()
    assert stage.warned == []
    stage.refused = None
    await stage.one_pass()
    assert stage.value() == (ConditionStatus.UNKNOWN, Reason.POOL_PENDING)


async def test_a_pool_of_another_validator_is_not_taken_over(stage: Stage) -> None:
    await stage.one_pass()
    stage.rounds["val-fc-o2"]["metadata"]["ownerReferences"][0]["uid"] = "another"
    stage.objects.clear()
    await stage.one_pass()
    assert stage.objects == {}
    assert stage.value() == (ConditionStatus.FALSE, Reason.POOL_UNAVAILABLE)


async def test_tasks_of_rounds_that_run_are_not_asked(stage: Stage, fake: Fake) -> None:
    """Whether one of them is drawn is the examiner's: here, that it knows them."""
    await stage.built()
    digest = {name: "sha256:" + name * 64 for name in "bcd"}
    unfinished, failed = RoundPhase.UNFINISHED, RoundPhase.FAILED
    for name, phase, competition in (("b", unfinished, "fc"), ("c", unfinished, "other"), ("d", failed, "fc")):
        stage.objects[name] = Round(
            name, 1, 1000, phase, competition=competition, uid=f"uid-{name}", task_set_digest=digest[name]
        )
    stage.objects["new"] = Round("new", 2, 1005, unfinished, competition="fc", uid="uid-new")
    await stage.step()
    (asked,) = fake.tasks
    assert {each.round_uid: each.digest for each in asked.running} == {"uid-b": digest["b"], "uid-c": digest["c"]}
    fake.refuses = {"uid-val-fc-o2": ExaminerReason.POOL_IN_USE}
    stage.block = 1020
    await stage.step()
    assert stage.value() == (ConditionStatus.FALSE, Reason.POOL_UNAVAILABLE)


async def test_a_pool_of_an_earlier_attempt_is_used(stage: Stage) -> None:
    await stage.one_pass()
    stage.objects.clear()
    await stage.one_pass()
    assert list(stage.objects) == ["val-fc-o2"]


async def test_a_pool_whose_files_are_gone_is_reported(stage: Stage, fake: Fake) -> None:
    fake.refuses = {"uid-val-fc-o2": ExaminerReason.POOL_MISSING}
    await stage.built()
    await stage.step()
    assert stage.value() == (ConditionStatus.FALSE, Reason.POOL_UNAVAILABLE)


@pytest.mark.usefixtures("fake")
async def test_steps_are_tracked_by_the_settings_of_the_spec(stage: Stage) -> None:
    await stage.built()
    assert stage.tracker.settings is None
    key = {"name": "wandb", "key": "api-key"}
    stage.tracking = {"wandb": {"project": "mainnet", "entity": "team", "apiKeySecretRef": key}}
    await stage.step()
    settings = stage.tracker.settings
    assert settings is not None
    assert (settings.project, settings.entity, settings.offline) == ("mainnet", "team", False)
    assert settings.key_file == "/etc/bitagent/tracking/api-key"
    assert settings.name == f"0-{VERSION}"
    assert {row["miner_hotkey"]: row["normalized_score"] for row in stage.tracker.rows} == {A: 1.0, B: 0.5}
    stage.tracking = {"wandb": {"project": "p", "mode": "Offline"}}
    await stage.one_pass()
    assert stage.tracker.settings is not None
    assert (stage.tracker.settings.offline, stage.tracker.settings.key_file) == (True, "")
