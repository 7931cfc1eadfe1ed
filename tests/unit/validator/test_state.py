"""State that outlives the pod."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bitagent_crds.model_result import ResultState
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ApiResource
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.state import (
    HotkeyScore,
    RoundResult,
    Row,
    RowState,
    ScoredRound,
    State,
    StateStore,
    StateUnreadable,
    Submission,
    weights_digest,
)

ME = ValidatorObject("val", "ns", "u", 1, None, {})


class ConfigMaps:
    """An API server with one ConfigMap."""

    field_manager = "bitagent-validator"

    def __init__(self, held: dict[str, Any] | None = None) -> None:
        self.held = held
        self.reads = 0

    async def get(self, resource: ApiResource, name: str) -> dict[str, Any] | None:
        self.reads += 1
        return copy.deepcopy(self.held)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.held:
            raise ApiError(code=409, reason="AlreadyExists", message="exists")
        return self._store(body, version="1")

    async def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.held or body["metadata"]["resourceVersion"] != self.held["metadata"]["resourceVersion"]:
            raise ApiError(code=409, reason="Conflict", message="changed")
        return self._store(body, version=str(int(self.held["metadata"]["resourceVersion"]) + 1))

    def _store(self, body: dict[str, Any], *, version: str) -> dict[str, Any]:
        self.held = copy.deepcopy(body)
        self.held["metadata"]["resourceVersion"] = version
        return copy.deepcopy(self.held)


def store(api: ConfigMaps) -> StateStore:
    return StateStore(api, ME)  # type: ignore[arg-type]


def score(value: float, *, registered_at: int | None) -> HotkeyScore:
    return HotkeyScore(registered_at=registered_at, results=(RoundResult(state=ResultState.SUCCEEDED, score=value),))


SCORED = ScoredRound(round="val-fc-7", epoch=7, block=700, scores={"a": score(0.5, registered_at=None)})
WEIGHTS = {"a": 65535}
PENDING = Row.planned(WEIGHTS, ("val-fc-7",)).as_pending(since=710, account="20/me")
ACCEPTED = (
    Row.planned(WEIGHTS, ("val-fc-6",))
    .as_pending(since=599, account="20/me")
    .as_accepted(block=600, at=datetime(2026, 1, 1, tzinfo=UTC), extrinsic="600-0001")
)
STATE = State(scored={"fc": SCORED}, pending=PENDING, accepted=ACCEPTED)


async def test_a_new_pod_reads_what_the_old_one_wrote() -> None:
    api = ConfigMaps()
    old = store(api)
    await old.load()
    assert old.state == State()
    await old.save(STATE)
    await old.save(STATE)
    new = store(api)
    await new.load()
    assert new.state == STATE
    assert api.held
    assert api.held["metadata"]["name"] == "val-scores"
    assert api.held["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert new.state.pending
    assert new.state.pending.digest == ACCEPTED.digest


async def test_the_writer_with_the_older_version_starts_over() -> None:
    api = ConfigMaps()
    one, two = store(api), store(api)
    await one.load()
    await two.load()
    await one.save(STATE)
    with pytest.raises(ApiError):
        await two.save(State())
    assert two.state == State(), "what was not written is not in effect"
    await two.load()
    assert two.state == STATE
    await two.save(STATE.model_copy(update={"pending": None}))


async def test_the_document_of_an_earlier_validator_is_left_to_go_with_it() -> None:
    api = ConfigMaps()
    await store(api).save(STATE)
    recreated = StateStore(api, replace(ME, uid="another"))  # type: ignore[arg-type]
    with pytest.raises(StateUnreadable, match="earlier Validator"):
        await recreated.load()
    api.held = None
    await recreated.load()
    assert recreated.state == State()


async def test_the_document_is_read_once() -> None:
    api = ConfigMaps()
    held = store(api)
    await held.load()
    await held.load()
    await held.save(STATE)
    await held.load()
    assert api.reads == 1


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', '{"surprise": 1}'])
async def test_another_document_is_not_overwritten(text: str) -> None:
    held = store(ConfigMaps({"metadata": {"name": "val-scores", "resourceVersion": "5"}, "data": {"state.json": text}}))
    with pytest.raises(StateUnreadable, match="delete it to start over"):
        await held.load()


WRITTEN_BEFORE = """{
    "version": 1, "genesis": "0xours",
    "scored": {"fc": {"round": "val-fc-7", "epoch": 7, "block": 700, "scores": {
        "a": {"score": 0.5, "registered_at": null}, "b": {"score": 0.1, "registered_at": 12}}}},
    "owners": {"uid-8": {"m1": "a"}},
    "pending": {"since": 710, "row": {"a": 65535}, "rounds": ["val-fc-7"], "account": "20/me"},
    "accepted": {
        "digest": "sha256:8811b58bd3a722b170f23d6957df2fb918b838089b43c213f47d81723e968992",
        "block": 600, "at": "2026-01-01T00:00:00Z", "rounds": ["val-fc-6"], "extrinsic": "600-0001",
        "hotkeys": 1, "account": "20/me"}
}"""
"""Written by the validator when it kept the scores of the last round only."""


def test_documents_of_earlier_versions_are_read() -> None:
    state = State.model_validate_json(WRITTEN_BEFORE)
    scores = {"a": score(0.5, registered_at=None), "b": score(0.1, registered_at=12)}
    assert state == State(
        genesis="0xours",
        scored={"fc": ScoredRound(round="val-fc-7", epoch=7, block=700, scores=scores)},
        owners={"uid-8": {"m1": Submission(hotkey="a")}},
        pending=PENDING,
        accepted=ACCEPTED,
    )
    assert State.model_validate_json(state.model_dump_json()) == state


def test_the_first_rows_had_no_account() -> None:
    pending = {"since": 710, "row": WEIGHTS, "rounds": ["val-fc-7"]}
    state = State.model_validate_json(json.dumps({"pending": pending}))
    assert state.pending == Row.planned(WEIGHTS, ("val-fc-7",)).as_pending(since=710, account="")


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"pending": {"row": WEIGHTS, "rounds": []}}, id="pending since an unknown block"),
        pytest.param({"pending": {"since": 710, "rounds": []}}, id="pending without weights"),
        pytest.param({"pending": {"since": 1, "row": {"a": "x"}, "rounds": []}}, id="a weight that is not a number"),
        pytest.param({"pending": {"since": 1, "row": WEIGHTS, "rounds": [], "block": 2}}, id="pending and in a block"),
        pytest.param({"pending": "x"}, id="pending is not an object"),
        pytest.param({"accepted": {"block": 1, "rounds": []}}, id="accepted without a digest"),
        pytest.param({"accepted": {"since": 1, "row": WEIGHTS, "rounds": []}}, id="a pending row as the accepted one"),
    ],
)
def test_incomplete_rows_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        State.model_validate_json(json.dumps(members))


def test_a_row_keeps_its_identity_on_its_way() -> None:
    planned = Row.planned(WEIGHTS, ("val-fc-6",))
    states = (planned, planned.as_pending(since=599, account="20/me"), ACCEPTED)
    assert [row.state for row in states] == [RowState.PLANNED, RowState.PENDING, RowState.ACCEPTED]
    assert {row.digest for row in states} == {weights_digest(WEIGHTS)}
    assert [row.hotkeys for row in states] == [1, 1, 1]
    assert ACCEPTED.weights == {}


def test_a_row_is_stored_only_in_its_place() -> None:
    with pytest.raises(ValidationError):
        State(pending=ACCEPTED)
    with pytest.raises(ValidationError):
        State(accepted=PENDING)


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


def test_the_largest_document_fits_into_a_config_map() -> None:
    """Eight competitions of 256 slots, the most that a subnet has, in which every hotkey has a model in every round."""
    result = RoundResult(state=ResultState.MODEL_FAULT, score=0.123456, win_rate=0.333333, near_copy=True)
    hotkeys = [f"{number:048d}" for number in range(256)]
    held = {hotkey: HotkeyScore(registered_at=9999999, block=9999999, results=(result,) * 5) for hotkey in hotkeys}
    scored = ScoredRound(round="r" * 48, epoch=9999999, block=9999999, scores=held, baselines=(0.123456,) * 5)
    submissions = {h.ljust(52, "x"): Submission(hotkey=h, block=9999999) for h in hotkeys}
    eight = [f"competition-{number}" for number in range(8)]
    state = State(
        scored=dict.fromkeys(eight, scored),
        owners=dict.fromkeys((name.ljust(36, "u") for name in eight), submissions),
        tried=dict.fromkeys(eight, tuple(hotkeys)),
    )
    assert len(state.model_dump_json()) < 1024 * 1024


@pytest.mark.parametrize(("ago", "expected"), [(0, 0.3), (1, 0.2), (2, 0.0)], ids=["last", "before", "not known"])
def test_the_baseline_of_an_earlier_round(ago: int, expected: float) -> None:
    assert ScoredRound(round="r", epoch=0, block=0, scores={}, baselines=(0.2, 0.3)).baseline(ago) == expected
