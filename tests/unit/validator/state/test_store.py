"""State that outlives the pod."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bitagent_crds.model_result import ResultState
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ApiResource
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.state.bounds import HOTKEYS_MAX, LIMIT_BYTES, fitted
from bitagent_validator.state.documents import CompetitionState, Rows, State
from bitagent_validator.state.rows import HISTORY_MAX, Reveal, Row, RowState, Setting, weights_digest
from bitagent_validator.state.scores import (
    WEIGHTS_MAX,
    HotkeyScore,
    OnlineMean,
    OnlineState,
    RoundResult,
    ScoredRound,
    Submission,
)
from bitagent_validator.state.store import StateStore, StateUnreadable

ME = ValidatorObject("val", "ns", "u", 1, None, {})


class ConfigMaps:
    """An API server with ConfigMaps, by name."""

    field_manager = "bitagent-validator"

    def __init__(self, held: dict[str, dict[str, Any]] | None = None) -> None:
        self.held = held or {}
        self.reads = 0
        self.writes: list[str] = []

    async def get(self, resource: ApiResource, name: str) -> dict[str, Any] | None:
        self.reads += 1
        return copy.deepcopy(self.held.get(name))

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["metadata"]["name"] in self.held:
            raise ApiError(code=409, reason="AlreadyExists", message="exists")
        return self._store(body, version="1")

    async def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        before = self.held.get(body["metadata"]["name"])
        if not before or body["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise ApiError(code=409, reason="Conflict", message="changed")
        return self._store(body, version=str(int(before["metadata"]["resourceVersion"]) + 1))

    def _store(self, body: dict[str, Any], *, version: str) -> dict[str, Any]:
        name = body["metadata"]["name"]
        self.writes.append(name)
        self.held[name] = copy.deepcopy(body)
        self.held[name]["metadata"]["resourceVersion"] = version
        return copy.deepcopy(self.held[name])


def store(api: ConfigMaps) -> StateStore:
    return StateStore(api, ME)  # type: ignore[arg-type]


def score(value: float, *, registered_at: int) -> HotkeyScore:
    return HotkeyScore(registered_at=registered_at, results=(RoundResult(state=ResultState.SUCCEEDED, score=value),))


SCORED = ScoredRound(round="val-fc-7", epoch=7, block=700, scores={"a": score(0.5, registered_at=3)})
WEIGHTS = {"a": 65535}
PENDING = Row.planned(WEIGHTS, ("val-fc-7",)).as_pending(since=710, account="20/me", uids={"a": 1})
ACCEPTED = (
    Row.planned(WEIGHTS, ("val-fc-6",))
    .as_pending(since=599, account="20/me", uids={"a": 1})
    .as_accepted(block=600, at=datetime(2026, 1, 1, tzinfo=UTC), extrinsic="600-0001")
)
STATE = State(scored={"fc": SCORED}, pending={0: PENDING}, accepted={0: ACCEPTED})


async def test_a_new_pod_reads_what_the_old_one_wrote() -> None:
    api = ConfigMaps()
    old = store(api)
    await old.load(["fc"])
    assert old.state == State()
    await old.save(STATE)
    await old.save(STATE)
    new = store(api)
    await new.load(["fc"])
    assert new.state == STATE
    assert set(api.held) == {"val-scores", "val-scores-fc"}
    assert api.held["val-scores"]["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert new.state.pending[0].digest == ACCEPTED.digest


async def test_only_what_differs_is_written() -> None:
    api = ConfigMaps()
    held = store(api)
    await held.load(["fc", "other"])
    await held.save(STATE)
    await held.save(STATE.with_pending(0, None))
    await held.save(STATE.with_pending(0, None).model_copy(update={"tried": {"other": ("a",)}}))
    assert api.writes == ["val-scores", "val-scores-fc", "val-scores", "val-scores-other"]


async def test_the_writer_with_the_older_version_starts_over() -> None:
    api = ConfigMaps()
    one, two = store(api), store(api)
    await one.load(["fc"])
    await two.load(["fc"])
    await one.save(STATE)
    with pytest.raises(ApiError):
        await two.save(State(genesis="0x1"))
    assert two.state == State(), "what was not written is not in effect"
    await two.load(["fc"])
    assert two.state == STATE
    await two.save(STATE.with_pending(0, None))


async def test_the_document_of_an_earlier_validator_is_left_to_go_with_it() -> None:
    api = ConfigMaps()
    await store(api).save(STATE)
    recreated = StateStore(api, replace(ME, uid="another"))  # type: ignore[arg-type]
    with pytest.raises(StateUnreadable, match="earlier Validator"):
        await recreated.load(["fc"])
    api.held.clear()
    await recreated.load(["fc"])
    assert recreated.state == State()


async def test_the_documents_are_read_once() -> None:
    api = ConfigMaps()
    held = store(api)
    await held.load(["fc"])
    await held.load(["fc"])
    await held.save(STATE)
    await held.load(["fc"])
    assert api.reads == 2
    await held.load(["fc", "new"])
    assert api.reads == 5, "a competition that was added to the spec"


async def test_a_state_that_is_refused_is_remembered() -> None:
    api = ConfigMaps()
    held = store(api)
    await held.load(["fc"])
    held.remember(STATE)
    await held.load(["fc"])
    assert (held.state, api.writes) == (STATE, [])


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', '{"surprise": 1}'])
@pytest.mark.parametrize("name", ["val-scores", "val-scores-fc"])
async def test_another_document_is_not_overwritten(name: str, text: str) -> None:
    body = {"metadata": {"name": name, "resourceVersion": "5"}, "data": {"state.json": text}}
    held = store(ConfigMaps({name: body}))
    with pytest.raises(StateUnreadable, match="upgrade again; else delete it to start over"):
        await held.load(["fc"])


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"scored": {"round": "r", "epoch": 7, "block": 7, "scores": {"a": {"score": 0.5}}}}, id="score"),
        pytest.param({"owners": {"fc/u": {"m1": "a"}}}, id="hotkey as text"),
    ],
)
def test_documents_of_earlier_forms_are_not_read(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CompetitionState.model_validate_json(json.dumps(document))


SENT = {"account": "20/me", "row": WEIGHTS, "uids": [1], "rounds": []}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"pending": {"0": SENT}}, id="pending since an unknown block"),
        pytest.param({"pending": {"0": {"since": 710, "account": "x", "rounds": []}}}, id="pending without weights"),
        pytest.param({"pending": {"0": SENT | {"since": 1, "row": {"a": "x"}}}}, id="a weight that is not a number"),
        pytest.param({"pending": {"0": SENT | {"since": 1, "block": 2}}}, id="pending and in a block"),
        pytest.param({"pending": {"0": SENT | {"since": 1, "uids": []}}}, id="a weight without a slot"),
        pytest.param({"pending": {"0": {"since": 1, "row": WEIGHTS, "uids": [1], "rounds": []}}}, id="no account"),
        pytest.param({"pending": {"8": SENT | {"since": 1}}}, id="a mechanism that no subnet has"),
        pytest.param({"pending": "x"}, id="pending is not an object"),
        pytest.param({"accepted": {"0": {"block": 1, "rounds": []}}}, id="accepted without weights"),
        pytest.param({"accepted": {"0": SENT | {"since": 1}}}, id="a pending row as the accepted one"),
    ],
)
def test_incomplete_rows_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rows.model_validate_json(json.dumps(members))


def test_a_row_keeps_its_identity_on_its_way() -> None:
    planned = Row.planned(WEIGHTS, ("val-fc-6",))
    states = (planned, planned.as_pending(since=599, account="20/me", uids={"a": 1}), ACCEPTED)
    assert [row.state for row in states] == [RowState.PLANNED, RowState.PENDING, RowState.ACCEPTED]
    assert {row.digest for row in states} == {weights_digest(WEIGHTS)}
    assert [row.hotkeys for row in states] == [1, 1, 1]
    assert ACCEPTED.by_uid == {1: 65535}


def test_a_row_is_stored_only_in_its_place() -> None:
    with pytest.raises(ValidationError):
        State(pending={0: ACCEPTED})
    with pytest.raises(ValidationError):
        State(accepted={0: PENDING})


RESULTS = st.builds(
    RoundResult,
    state=st.sampled_from(ResultState),
    score=st.floats(0, 1),
    win_rate=st.none() | st.floats(0, 1),
    near_copy=st.booleans(),
)


@given(results=st.lists(st.none() | RESULTS, min_size=1, max_size=5), baselines=st.lists(st.floats(0, 1), max_size=5))
def test_results_survive_to_the_last_digit(results: list[RoundResult | None], baselines: list[float]) -> None:
    held = {"a": HotkeyScore(registered_at=1, block=7, results=tuple(results))}
    scored = ScoredRound(round="r", epoch=0, block=0, scores=held, baselines=tuple(baselines))
    state = State(scored={"fc": scored}, tried={"fc": ("b",)})
    assert State.model_validate_json(state.model_dump_json()) == state


async def test_mechanisms_have_documents_of_their_own() -> None:
    api = ConfigMaps()
    state = STATE.with_pending(3, PENDING).with_accepted(7, ACCEPTED)
    held = store(api)
    await held.load(["fc"], [0, 3, 7])
    await held.save(state)
    assert api.writes == ["val-scores.3", "val-scores.7", "val-scores", "val-scores-fc"]
    new = store(api)
    await new.load(["fc"], [0, 3, 7])
    assert new.state == state
    await new.save(state.with_pending(3, None))
    assert api.writes[4:] == ["val-scores.3"]


@pytest.mark.parametrize("killed", [False, True], ids=["whole", "killed between the two writes"])
async def test_rows_of_mechanisms_in_the_common_document_are_moved(killed: bool) -> None:
    """As an earlier version kept them."""
    earlier = Rows(pending={0: PENDING, 3: PENDING}, accepted={3: ACCEPTED})
    body = {
        "metadata": {"name": "val-scores", "resourceVersion": "5"},
        "data": {"state.json": earlier.model_dump_json()},
    }
    api = ConfigMaps({"val-scores": body})
    held = store(api)
    await held.load([], [0, 3])
    assert held.state == State(pending={0: PENDING, 3: PENDING}, accepted={3: ACCEPTED})
    await held.save(held.state.with_pending(3, None))
    assert api.writes == ["val-scores.3", "val-scores"]
    if killed:
        api.held["val-scores"] = copy.deepcopy(body)
    new = store(api)
    await new.load([], [0, 3])
    assert new.state == State(pending={0: PENDING}, accepted={3: ACCEPTED})


async def test_a_moved_row_of_a_mechanism_that_is_not_set_any_more_stops_no_write() -> None:
    """A process was killed between the two writes, and then the last competition of the mechanism was removed."""
    earlier = Rows(pending={0: PENDING, 3: PENDING})
    api = ConfigMaps()
    first = store(api)
    await first.load([], [0, 3])
    await first.save(State(pending={3: PENDING}))
    metadata = {"name": "val-scores", "resourceVersion": "5"}
    api.held["val-scores"] = {"metadata": metadata, "data": {"state.json": earlier.model_dump_json()}}
    new = store(api)
    await new.load([], [0])
    await new.save(new.state.with_pending(0, None))
    again = store(api)
    await again.load([], [0, 3])
    assert again.state == State(pending={3: PENDING})


def test_a_document_is_measured_in_bytes() -> None:
    document = CompetitionState(refused={"fc/u": {"m": "\u00e9" * 100}})
    content, left_out = fitted(document, limit=200)
    assert (len(content.encode()) <= 200, left_out) == (True, "the texts of contradicted claims")


def test_what_is_burnt_is_stored_and_nothing_else_changes() -> None:
    burning = Row.planned(WEIGHTS, ("r",), {"a": 9}).as_pending(since=710, account="20/me", uids={"a": 1})
    rows = Rows(pending={0: burning})
    assert Rows.model_validate_json(rows.model_dump_json()) == rows
    assert "burnt" not in Rows(pending={0: PENDING}, accepted={0: ACCEPTED}).model_dump_json(), (
        "earlier versions read it"
    )


def hotkeys_of(count: int) -> list[str]:
    return [f"{number:048d}" for number in range(count)]


def largest(count: int, *, models: int, rounds: int, refused: bool, online: bool) -> CompetitionState:
    """The largest document of a competition with this many hotkeys and models: names of 63 characters, long numbers."""
    score = 0.12345678901234567
    result = RoundResult(state=ResultState.MODEL_FAULT, score=score, win_rate=score, near_copy=True)
    hotkeys = hotkeys_of(count)
    weights = {f"{number:024d}": 99999999 for number in range(WEIGHTS_MAX)}
    score_of = HotkeyScore(registered_at=99999999, block=99999999, results=(result,) * rounds, weights=weights)
    held = dict.fromkeys(hotkeys, score_of)
    submissions = {h.ljust(63, "x"): Submission(hotkey=h, block=99999999) for h in hotkeys[:models]}
    means = {h: OnlineMean(registered_at=99999999, mean=score, count=9999999, block=99999999) for h in hotkeys}
    keys = [f"{'c' * 16}/{letter * 36}" for letter in "uv"]
    return CompetitionState(
        scored=ScoredRound(round="r" * 63, epoch=9999999, block=99999999, scores=held, baselines=(score,) * rounds),
        owners=dict.fromkeys(keys, submissions),
        refused=dict.fromkeys(keys, dict.fromkeys(submissions, "m" * 128)) if refused else {},
        tried=tuple(hotkeys),
        held=dict.fromkeys(hotkeys, 65535),
        online=OnlineState(block=99999999, pool="p" * 63, baseline=score, means=means) if online else None,
    )


@pytest.mark.parametrize(
    ("count", "refused", "left_out"),
    [
        pytest.param(256, True, "", id="as many hotkeys as subnets have today"),
        pytest.param(1024, False, "the weights of earlier rounds", id="a thousand"),
        pytest.param(1024, True, "results but those of the last 3 rounds", id="a thousand, all contradicted"),
        pytest.param(HOTKEYS_MAX, True, "hotkeys of failed rounds", id="as many as a subnet can have"),
    ],
)
def test_the_largest_documents_are_fitted(count: int, refused: bool, left_out: str) -> None:
    document = largest(count, models=1024, rounds=5, refused=refused, online=True)
    content, without = fitted(document)
    assert (len(content) <= LIMIT_BYTES, without) == (True, left_out)
    kept = CompetitionState.model_validate_json(content)
    assert kept.owners == document.owners, "who is paid for a round is never left out"
    assert kept.scored is not None
    assert kept.scored.scores.keys() == document.scored.scores.keys() if document.scored else False
    if not without:
        assert kept == document


@settings(max_examples=12, deadline=None)
@given(
    count=st.integers(0, HOTKEYS_MAX),
    models=st.integers(0, 1024),
    rounds=st.integers(1, 5),
    refused=st.booleans(),
    online=st.booleans(),
)
def test_no_document_is_larger_than_a_config_map(
    count: int, models: int, rounds: int, refused: bool, online: bool
) -> None:
    document = largest(count, models=models, rounds=rounds, refused=refused, online=online)
    content, left_out = fitted(document)
    assert len(content) <= LIMIT_BYTES
    if len(document.model_dump_json()) <= LIMIT_BYTES:
        assert (content, left_out) == (document.model_dump_json(), "")


@settings(max_examples=12, deadline=None)
@given(count=st.integers(0, HOTKEYS_MAX), mechanisms=st.sets(st.integers(0, 7)), rounds=st.integers(0, 8))
def test_rows_of_any_number_fit(count: int, mechanisms: set[int], rounds: int) -> None:
    """V13: eight mechanisms, each with a pending and an accepted row for every hotkey."""
    hotkeys, names, at = hotkeys_of(count), ("r" * 63,) * rounds, datetime(2026, 1, 1, tzinfo=UTC)
    row = Row.planned(dict.fromkeys(hotkeys, 65535), names, dict.fromkeys(hotkeys[:1], 65535)).as_pending(
        since=99999999, account=f"65535/{'h' * 48}", uids=dict.fromkeys(hotkeys, 65535)
    )
    accepted = row.as_accepted(block=99999999, at=at, extrinsic="99999999-0001", reveal=Reveal.REVEALED)
    setting = Setting(
        mechanism=7,
        block=99999999,
        at=at,
        rounds=names,
        hotkeys=count,
        digest=accepted.digest,
        extrinsic="99999999-0001",
    )
    state = State(
        genesis="0x" + "0" * 64,
        pending=dict.fromkeys(mechanisms, row),
        accepted=dict.fromkeys(mechanisms, accepted),
        history=(setting,) * HISTORY_MAX,
    )
    own = {number: state.of_mechanism(number) for number in state.mechanisms}
    assert max(len(each.model_dump_json()) for each in (state.rows, *own.values())) <= LIMIT_BYTES
    assert State.joined(state.rows, {}, own) == state


@pytest.mark.parametrize(("ago", "expected"), [(0, 0.3), (1, 0.2), (2, 0.0)], ids=["last", "before", "not known"])
def test_the_baseline_of_an_earlier_round(ago: int, expected: float) -> None:
    assert ScoredRound(round="r", epoch=0, block=0, scores={}, baselines=(0.2, 0.3)).baseline(ago) == expected
