"""What a fetch may remove from the cache, and what not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import cache_id
from bitagent_operator.plan.files.cache_room import room_for

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_crds.jobs import CacheRoom
    from bitagent_operator.observed.objects import ModelObject, RoundObject

OVER = {"finishedAt": "2026-01-01T01:00:00Z"}


def room(make: Make, *rounds: RoundObject, models: list[ModelObject] | None = None, **model: Any) -> CacheRoom:
    new = make.model("new", **model)
    return room_for(new, models=[new, *(models or [])], rounds=rounds, share_bytes=500)


def an_id(name: str, commit: str = "a" * 40) -> str:
    return cache_id(f"org/{name}/{commit}")


@pytest.mark.parametrize(
    ("entry", "status", "place"),
    [
        pytest.param({"state": "Pending"}, {}, "in_use", id="waits"),
        pytest.param({"state": "Running"}, {}, "in_use", id="runs"),
        pytest.param({"state": "ModelFault", "score": "0.000000"}, {}, "done", id="is evaluated"),
        pytest.param({"state": "Rejected"}, {}, "done", id="takes no part"),
        pytest.param({"state": "Pending"}, OVER, "done", id="waited in a round that failed"),
        pytest.param({"state": "Succeeded", "score": "0.500000"}, OVER, "done", id="of a round that is over"),
        pytest.param({"state": "Succeeded", "score": "0.500000"}, {}, "in_use", id="the round's control"),
    ],
)
def test_where_a_model_of_a_round_is_listed(make: Make, entry: dict[str, Any], status: Any, place: str) -> None:
    observed = make.started("a", results={"a": make.admitted("a") | entry}, status=status)
    found = room(make, observed, models=[make.model("a")])
    assert {name: getattr(found, name) for name in ("in_use", "done")} == {"in_use": [], "done": []} | {
        place: [an_id("a")]
    }


def test_the_models_of_both_controls_stay(make: Make) -> None:
    """The second one is of another hotkey."""
    results = {
        n: make.admitted(n, weights=str(i)) | {"state": "Succeeded", "score": "0.500000"} for i, n in enumerate("abc")
    }
    for name, hotkey in (("a", "5C" * 24), ("b", "5C" * 24), ("c", "5D" * 24)):
        results[name] |= {"hotkey": hotkey}
    found = room(make, make.started("a", "b", "c", results=results), models=[make.model(n) for n in "abc"])
    assert (set(found.in_use), found.done) == ({an_id("a"), an_id("c")}, [an_id("b")])


def test_the_models_of_all_controls_stay_once_only_failures_are_left(make: Make) -> None:
    failure = {"attempt": 1, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]}
    results = {
        n: make.admitted(n, weights=str(i)) | {"state": "Succeeded", "score": "0.500000"} for i, n in enumerate("abcd")
    }
    models = [make.model(n) for n in "abcdx"]
    for failures, kept in (([], 3), ([failure], 5)):
        running = make.admitted("x", weights="9") | {"state": "Running", "failures": failures}
        found = room(make, make.started(*"abcdx", results=results | {"x": running}), models=models)
        assert len(found.in_use) == kept


def test_a_model_that_one_round_needs_is_not_removed_for_another(make: Make) -> None:
    waiting = make.started("a", name="r1", results={"a": make.admitted("a")})
    over = make.started("a", name="r2", results={"a": make.admitted("a") | {"state": "Rejected"}})
    found = room(make, waiting, over, models=[make.model("a")])
    assert (found.in_use, found.done) == ([an_id("a")], [])


def test_a_model_that_is_deleted_while_it_runs_stays(make: Make) -> None:
    running = make.started("gone", results={"gone": make.admitted("gone") | {"state": "Running"}})
    assert room(make, running).in_use == [an_id("gone")]


def test_a_model_that_is_not_fixed_is_listed_by_its_last_files(make: Make) -> None:
    observed = make.started("a", results={})
    assert room(make, observed, models=[make.model("a", fetched=True)]).in_use == [an_id("a")]
    assert room(make, observed, models=[make.model("a")]).in_use == []


def test_models_of_the_same_hotkey_share_its_part(make: Make) -> None:
    others = [make.model("mine", hotkey="me", fetched=True), make.model("yours", hotkey="you", fetched=True)]
    found = room(make, models=others, hotkey="me")
    assert (found.same_hotkey, found.share_bytes) == ([an_id("mine")], 500)
    assert room(make, models=others).share_bytes == 0, "a model without a miner has no share"


def test_what_rewriters_serve_stays(make: Make) -> None:
    source = {"huggingFace": {"repo": "org/rewriter", "revision": "main"}}
    status = {"source": "s", "resolved": make.facts() | {"at": "2026-01-01T00:00:00Z"}}
    own = make.validator(rewriter={"source": source}, status={"rewriter": status})
    unknown = make.validator("w", rewriter={"source": source})
    new = make.model("new")
    found = room_for(new, models=[new], rounds=[], share_bytes=0, validators=[own, unknown, make.validator("x")])
    assert found.in_use == [cache_id("org/rewriter/" + "a" * 40)]
