"""The writes of discovery: bounded, contained one by one, and none where nothing has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.discovery import IGNORED_MAX, CommitmentFault
from bitagent_crds.validator import ValidatorSpec
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_local.chain.keys import address
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.published import Published
from bitagent_validator.discovery import controller as module
from bitagent_validator.discovery.axons import Answered
from bitagent_validator.discovery.commitments import CommittedModel
from bitagent_validator.discovery.controller import DiscoveryController
from bitagent_validator.discovery.models import existing_of
from bitagent_validator.discovery.second_reading import SecondReadings
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import RoundPhase, ValidatorObject

Make = Callable[..., Any]
COMMIT, OTHER = "c" * 40, "d" * 40


class Server:
    """MinerModels by name; `refusals` are raised by the writes of a name."""

    def __init__(self) -> None:
        self.objects: dict[str, Obj] = {}
        self.refusals: dict[str, ApiError] = {}
        self.down: ApiError | None = None
        self.writes: list[str] = []

    async def list(self, _: Any, *, labels: str) -> list[Obj]:
        selected = dict(part.split("=") for part in labels.split(","))
        return [o for o in self.objects.values() if o["metadata"].get("labels", {}).items() >= selected.items()]

    async def get(self, _: Any, name: str) -> Obj | None:
        return self.objects.get(name)

    async def apply(self, obj: Obj) -> Obj:
        name = obj["metadata"]["name"]
        self._write(name, obj["spec"]["source"]["huggingFace"]["repo"])
        self.objects[name] = {**obj, "metadata": {**obj["metadata"], "uid": f"uid-{name}"}}
        return self.objects[name]

    async def delete(self, _: Any, name: str, *, uid: str) -> None:
        assert self.objects[name]["metadata"]["uid"] == uid
        self._write(name, "")
        del self.objects[name]

    def _write(self, name: str, repo: str) -> None:
        self.writes.append(name)
        if self.down or repo in self.refusals:
            raise self.down or self.refusals[repo]

    def repos(self) -> set[str]:
        return {o["spec"]["source"]["huggingFace"]["repo"] for o in self.objects.values()}


class Axons:
    """Answers that have come; `new` says so once."""

    def __init__(self) -> None:
        self.answers: dict[str, Answered] = {}
        self.new = self.closed = False

    def reconcile(self, *_: Any, **__: Any) -> bool:
        new, self.new = self.new, False
        return new

    async def close(self) -> None:
        self.closed = True


class Stage:
    def __init__(self, subnet: Make, neuron: Make, competition: Make) -> None:
        self.server, self.metrics = Server(), Metrics()
        self.rounds: dict[str, Any] = {}
        self.published: dict[str, Published | None] = {}
        self.registered: set[str] = set()
        self.reads = 0
        self.elsewhere: list[dict[str, Published | None]] = []
        """What other endpoints say, if they are asked."""
        self._make = (subnet, neuron, competition)
        self.start()

    def start(self) -> None:
        services: Any = SimpleNamespace(metrics=self.metrics, rounds=SimpleNamespace(objects=self.rounds))
        self.axons = Axons()
        fakes: tuple[Any, Any] = (self.server, self.axons)
        readings = SecondReadings(elsewhere=self.read_elsewhere)
        self.discovery = DiscoveryController(services, *fakes, readings=readings)

    def commit(self, name: str, text: str | None = None, block: int = 10) -> str:
        hotkey = address(f"//{name}")
        self.registered.add(hotkey)
        self.published[hotkey] = Published(block, (text or f"{name}/model@{COMMIT}").encode())
        return hotkey

    async def one_pass(self, *, due: bool = True, alone: bool = False, others: Sequence[str] = (), **spec: Any) -> None:
        subnet, neuron, competition = self._make
        wire = {
            "netuid": 20,
            "chain": {"endpoints": ["ws://chain"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
            "discovery": {"commitments": {}},
        }
        parsed = ValidatorSpec.model_validate(wire | spec)
        me = ValidatorObject("val", "ns", "u", 1, parsed, {})
        if due:
            self.discovery._read_at = None
        neurons = {hotkey: neuron(hotkey, uid=uid) for uid, hotkey in enumerate(sorted(self.registered))}
        connection: Any = SimpleNamespace(block_seconds=12.0, published=self.read, genesis="0x1", endpoint="ws://one")
        on = subnet(neurons=neurons)
        await self.discovery.reconcile(me, on, connection=connection, alone=alone, others=others)

    async def read_elsewhere(self, urls: Sequence[str], **at: Any) -> list[dict[str, Published | None]]:
        assert (urls, at) == (["ws://two"], {"genesis": "0x1", "netuid": 20, "block": 1000})
        return self.elsewhere

    async def read(self, netuid: int, *, block: int) -> dict[str, Published | None]:
        assert (netuid, block) == (20, 1000)
        self.reads += 1
        return dict(self.published)

    def deleted(self) -> dict[str, float]:
        (family,) = self.metrics.models_deleted.collect()
        return {s.labels["reason"]: s.value for s in family.samples if s.name.endswith("_total")}

    def reasons(self) -> dict[str, str]:
        assert self.discovery.status is not None
        return {each.hotkey: each.reason for each in self.discovery.status.ignored}


@pytest.fixture
def stage(subnet: Make, neuron: Make, competition: Make) -> Stage:
    return Stage(subnet, neuron, competition)


async def test_off_reads_and_writes_nothing(stage: Stage) -> None:
    stage.commit("a")
    await stage.one_pass(discovery=None)
    assert (stage.reads, stage.server.writes, stage.discovery.status) == (0, [], None)


async def test_a_spec_without_a_source_says_so(stage: Stage) -> None:
    stage.commit("a")
    await stage.one_pass(discovery={})
    assert (stage.reads, stage.server.writes) == (0, [])
    assert stage.discovery.status is not None
    assert "neither commitments nor axons" in stage.discovery.status.message
    await stage.one_pass(discovery={"commitments": {}})
    assert stage.discovery.status.message == ""


async def test_models_are_owned_by_the_validator_and_reported(stage: Stage) -> None:
    stage.commit("a")
    bad = stage.commit("b", "gm")
    await stage.one_pass()
    ((obj,), status) = stage.server.objects.values(), stage.discovery.status
    assert obj["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert status is not None
    assert (status.models, status.ignored_count, stage.reasons()) == (1, 1, {bad: CommitmentFault.MALFORMED})
    sample = stage.metrics.registry.get_sample_value
    assert sample("bitagent_validator_discovered_models") == 1
    assert sample("bitagent_validator_ignored_commitments", {"reason": "Malformed"}) == 1


async def test_a_restart_writes_nothing_and_keeps_the_block(stage: Stage) -> None:
    stage.commit("a", block=10)
    await stage.one_pass()
    stage.commit("a", block=500)
    stage.start()
    await stage.one_pass()
    assert len(stage.server.writes) == 1
    assert [o["spec"]["miner"]["commitBlock"] for o in stage.server.objects.values()] == [10]


async def test_the_chain_is_read_now_and_then(stage: Stage) -> None:
    stage.commit("a")
    await stage.one_pass()
    await stage.one_pass(due=False)
    assert stage.reads == 1


async def test_writes_of_a_pass_are_bounded_and_the_rest_follows(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITES_MAX", 2)
    for name in "abcde":
        stage.commit(name)
    seen = []
    for _ in range(4):
        await stage.one_pass(due=not seen)
        seen.append(len(stage.server.objects))
    assert (seen, stage.reads) == ([2, 4, 5, 5], 1)


@pytest.mark.parametrize("code", [400, 409, 422])
async def test_a_model_that_is_refused_stops_no_other(stage: Stage, code: int) -> None:
    hotkey = stage.commit("a", block=1)
    stage.commit("b", block=2)
    stage.server.refusals["a/model"] = ApiError(code=code, reason="Invalid", message="no")
    await stage.one_pass()
    assert stage.server.repos() == {"b/model"}
    assert stage.reasons() == {hotkey: CommitmentFault.NOT_WRITTEN}


async def test_a_failing_server_ends_the_pass_and_is_raised(stage: Stage) -> None:
    for name in "abcdef":
        stage.commit(name)
    stage.server.down = ApiError(code=503, reason="Unavailable", message="away")
    with pytest.raises(ApiError, match="away"):
        await stage.one_pass()
    assert len(stage.server.writes) == module.FAILURES_MAX
    assert stage.discovery.status is not None
    stage.server.down = None
    await stage.one_pass(due=False)
    assert len(stage.server.objects) == 6, "tried again before the chain is read again"


async def test_one_failure_of_the_server_stops_no_other(stage: Stage) -> None:
    for name in "abc":
        stage.commit(name)
    stage.server.refusals["a/model"] = ApiError(code=500, reason="InternalError", message="a hook")
    with pytest.raises(ApiError, match="a hook"):
        await stage.one_pass()
    assert stage.server.repos() == {"b/model", "c/model"}


async def test_models_of_others_are_left_alone(stage: Stage) -> None:
    hotkey = stage.commit("a")
    await stage.one_pass()
    ((name, obj),) = stage.server.objects.items()
    obj["metadata"]["labels"] = {"from": "git"}
    stage.server.objects["hand"] = {"metadata": {"name": "hand", "uid": "h"}, "spec": {"source": {}}}
    stage.server.writes.clear()
    await stage.one_pass()
    assert (stage.server.writes, stage.reasons()) == ([], {hotkey: CommitmentFault.NOT_WRITTEN})
    stage.registered.clear()
    await stage.one_pass()
    assert set(stage.server.objects) == {name, "hand"}


async def test_what_a_round_needed_goes_as_soon_as_it_has_ended(stage: Stage) -> None:
    stage.commit("a")
    await stage.one_pass()
    (old,) = stage.server.objects
    result = SimpleNamespace(model=old)
    stage.rounds["val-fc-1"] = SimpleNamespace(phase=RoundPhase.UNFINISHED, results=(result,))
    stage.commit("a", f"a/other@{OTHER}")
    await stage.one_pass()
    assert stage.server.repos() == {"a/model", "a/other"}
    stage.rounds["val-fc-1"].phase = RoundPhase.COMPLETE
    await stage.one_pass(due=False)
    assert (stage.server.repos(), stage.reads) == ({"a/other"}, 2)


async def test_the_report_is_bounded(stage: Stage) -> None:
    for number in range(IGNORED_MAX + 3):
        stage.commit(f"n{number}", "gm")
    await stage.one_pass()
    status = stage.discovery.status
    assert status is not None
    assert (len(status.ignored), status.ignored_count) == (IGNORED_MAX, IGNORED_MAX + 3)


async def test_a_chain_that_fails_is_asked_again_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.commit("a")

    async def fail(*_: Any, **__: Any) -> None:
        await asyncio.sleep(0)
        raise LookupError("unreadable")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "read", fail)
        with pytest.raises(LookupError):
            await stage.one_pass()
    await stage.one_pass(due=False)
    assert stage.server.repos() == {"a/model"}


async def test_answers_of_axons_become_models_as_soon_as_they_come(stage: Stage) -> None:
    hotkey = address("//a")
    stage.registered.add(hotkey)
    await stage.one_pass(discovery={"axons": {}})
    assert (stage.reads, stage.server.objects) == (0, {})
    stage.axons.answers[hotkey] = Answered(900, CommittedModel("a/model", "main"), registered_at=10)
    stage.axons.new = True
    await stage.one_pass(due=False, discovery={"axons": {}})
    assert stage.server.repos() == {"a/model"}
    assert stage.discovery.status is not None
    assert (stage.discovery.status.models, stage.discovery.status.ignored_count) == (1, 0)
    await stage.one_pass(discovery=None)
    assert stage.axons.closed


@pytest.mark.parametrize("lost", [["a"], ["a", "b"]], ids=["a page of the answer", "all of it"])
async def test_a_commitment_that_is_missing_once_costs_no_model(stage: Stage, lost: list[str]) -> None:
    """Its block of the first sight would be lost, and with it its place before others."""
    for name in ("a", "b"):
        stage.commit(name, block=10)
    await stage.one_pass()
    before, full = dict(stage.server.objects), dict(stage.published)
    for name in lost:
        del stage.published[address(f"//{name}")]
    await stage.one_pass()
    stage.published = {hotkey: replace(each, block=900) for hotkey, each in full.items() if each is not None}
    await stage.one_pass()
    assert stage.server.objects == before


async def test_a_commitment_that_stays_away_takes_its_model_along(stage: Stage) -> None:
    stage.commit("a")
    stage.commit("b")
    await stage.one_pass()
    stage.published.pop(address("//a"))
    await stage.one_pass()
    assert stage.server.repos() == {"a/model", "b/model"}
    await stage.one_pass(due=False)
    assert stage.server.repos() == {"a/model", "b/model"}, "it was not looked for again"
    await stage.one_pass()
    assert stage.server.repos() == {"b/model"}
    stage.start()
    stage.published.pop(address("//b"))
    await stage.one_pass()
    assert stage.server.repos() == {"b/model"}, "a new process looks twice as well"
    assert stage.deleted() == {"Deregistered": 0, "Withdrawn": 1}


async def test_who_is_no_longer_registered_keeps_no_model_for_another_look(stage: Stage) -> None:
    stage.commit("b")
    gone = stage.commit("a")
    await stage.one_pass()
    stage.registered.discard(gone)
    stage.published.pop(gone)
    await stage.one_pass()
    assert stage.server.repos() == {"b/model"}
    assert stage.deleted() == {"Deregistered": 1, "Withdrawn": 0}


@pytest.mark.parametrize("due", [True, False], ids=["when they are due", "at once, for an answer of an axon"])
async def test_commitments_that_were_off_for_a_while_cost_no_model(stage: Stage, due: bool) -> None:
    """They were not looked for meanwhile: none is known to be gone, and one that is missing now may be there."""
    for name in ("a", "b"):
        stage.commit(name)
    await stage.one_pass(discovery={"commitments": {}, "axons": {}})
    for _ in range(2):
        await stage.one_pass(discovery={"axons": {}})
    assert stage.server.repos() == {"a/model", "b/model"}
    del stage.published[address("//a")]
    stage.axons.new = True
    await stage.one_pass(due=due, discovery={"commitments": {}, "axons": {}})
    assert stage.server.repos() == {"a/model", "b/model"}


async def test_a_block_of_an_endpoint_alone_is_read_again_when_another_agrees(stage: Stage) -> None:
    """Who was alone counts when the chain was read, not when a pass without a reading follows."""
    stage.commit("a", block=1)
    await stage.one_pass(alone=True)
    stage.commit("a", block=700)
    blocks = []
    for due in (False, True):
        await stage.one_pass(due=due)
        blocks += [each["spec"]["miner"]["commitBlock"] for each in stage.server.objects.values()]
    assert blocks == [1, 700]


async def test_what_another_endpoint_contradicts_changes_nothing(stage: Stage) -> None:
    """A node at an honest height invents one commitment, hides another, and shows a third as it is."""
    hidden, other = stage.commit("hidden"), stage.commit("other")
    stage.elsewhere = [dict(stage.published)]
    await stage.one_pass(others=["ws://two"])
    assert stage.server.repos() == {"hidden/model", "other/model"}
    del stage.published[hidden]
    invented, shown = stage.commit("invented"), stage.commit("shown")
    stage.elsewhere[0][shown] = stage.published[shown]
    for _ in range(3):
        await stage.one_pass(others=["ws://two"])
    assert stage.server.repos() == {"hidden/model", "other/model", "shown/model"}
    assert stage.reasons() == {hidden: CommitmentFault.CONTRADICTED, invented: CommitmentFault.CONTRADICTED}
    stage.elsewhere = [dict(stage.published)]
    for _ in range(2):
        await stage.one_pass(others=["ws://two"])
    assert stage.server.repos() == {"other/model", "shown/model", "invented/model"}, f"{other} never left"
    assert stage.reasons() == {}


async def test_a_block_that_no_other_endpoint_has_confirmed_is_marked(stage: Stage) -> None:
    stage.commit("a", block=700)
    await stage.one_pass(others=["ws://two"])
    assert [bool(existing_of(each).unconfirmed) for each in stage.server.objects.values()] == [True]
    stage.start()
    stage.elsewhere = [dict(stage.published)]
    await stage.one_pass(others=["ws://two"])
    assert [bool(existing_of(each).unconfirmed) for each in stage.server.objects.values()] == [False]


async def test_an_endpoint_against_which_two_others_agree_is_left(stage: Stage) -> None:
    stage.commit("a")
    stage.elsewhere = [{}, {}]
    for _ in range(2):
        with pytest.raises(ChainUnavailable) as raised:
            await stage.one_pass(others=["ws://two"])
        assert raised.value.reason is Reason.CHAIN_CONTRADICTED
    assert stage.server.writes == []
