"""What outlives the pod."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_validator.kube import ApiError
from bitagent_validator.policy.interface import Score, Standings
from bitagent_validator.seen import ValidatorObject
from bitagent_validator.state import (
    AcceptedRow,
    HotkeyScore,
    PendingRow,
    ScoredRound,
    State,
    StateUnreadable,
    Store,
)
from bitagent_validator.weights.vector import row_digest

ME = ValidatorObject("val", "ns", "u", 1, None, {})


class ConfigMaps:
    """An API server that knows one ConfigMap."""

    manager = "bitagent-validator"

    def __init__(self, held: dict[str, Any] | None = None) -> None:
        self.held = held
        self.reads = 0

    async def get(self, at: str) -> dict[str, Any] | None:
        self.reads += 1
        return copy.deepcopy(self.held)

    async def create(self, at: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.held:
            raise ApiError("exists", status=409)
        return self._store(body, version="1")

    async def apply(self, at: str, body: dict[str, Any]) -> dict[str, Any]:
        if not self.held or body["metadata"]["resourceVersion"] != self.held["metadata"]["resourceVersion"]:
            raise ApiError("conflict", status=409)
        return self._store(body, version=str(int(self.held["metadata"]["resourceVersion"]) + 1))

    def _store(self, body: dict[str, Any], *, version: str) -> dict[str, Any]:
        self.held = copy.deepcopy(body)
        self.held["metadata"]["resourceVersion"] = version
        return copy.deepcopy(self.held)


def store(api: ConfigMaps) -> Store:
    return Store(api, ME)  # type: ignore[arg-type]


SCORED = ScoredRound(round="val-fc-7", epoch=7, block=700, scores={"a": HotkeyScore(score=0.5, registered_at=None)})
ROW = {"a": 65535}
STATE = State(
    scored={"fc": SCORED},
    pending=PendingRow(since=710, row=ROW, rounds=("val-fc-7",)),
    accepted=AcceptedRow(
        digest=row_digest(ROW),
        block=600,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        rounds=("val-fc-6",),
        extrinsic="600-0001",
        hotkeys=1,
    ),
)


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
    assert new.state.pending.intent().wanted.digest == STATE.accepted.digest  # type: ignore[union-attr]


async def test_who_knew_less_starts_over() -> None:
    api = ConfigMaps()
    one, two = store(api), store(api)
    await one.load()
    await two.load()
    await one.save(STATE)
    with pytest.raises(ApiError):
        await two.save(State())
    assert two.state == State(), "what was not written does not count"
    await two.load()
    assert two.state == STATE
    await two.save(STATE.model_copy(update={"pending": None}))


async def test_the_document_of_an_earlier_validator_is_left_to_go_with_it() -> None:
    api = ConfigMaps()
    await store(api).save(STATE)
    recreated = Store(api, replace(ME, uid="another"))  # type: ignore[arg-type]
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


def test_standings_of_a_scored_round() -> None:
    expected = Standings(700, {"a": Score(0.5, None)}, frozenset({"z"}))
    assert SCORED.standings(frozenset({"z"})) == expected


@given(scores=st.dictionaries(st.text("abc", min_size=1), st.floats(0, 1), max_size=5))
def test_scores_survive_to_the_last_digit(scores: dict[str, float]) -> None:
    held = {h: HotkeyScore(score=s, registered_at=1) for h, s in scores.items()}
    state = State(scored={"fc": ScoredRound(round="r", epoch=0, block=0, scores=held)})
    assert State.model_validate_json(state.model_dump_json()) == state
