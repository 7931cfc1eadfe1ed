"""What is remembered of what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bitagent_operator.store import Key, Kind, Store

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

MODEL_A, ROUND_R = Key(Kind.MODEL, "a"), Key(Kind.ROUND, "r")


def frozen(make: Make, **status: Any) -> dict[str, Any]:
    return make.round_raw("r", status={"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}]} | status)


def test_the_newer_version_wins(make: Make) -> None:
    store, old = Store(), make.model_raw("a")
    new = make.model_raw("a", suspend=True)
    assert store.put("MinerModel", new) == [MODEL_A]
    assert store.put("MinerModel", old) == []
    model = store.model("a")
    assert model is not None
    assert model.spec.suspend


def test_a_deleted_object_does_not_come_back_by_an_older_event(make: Make) -> None:
    store, raw = Store(), make.model_raw("a")
    store.put("MinerModel", raw)
    assert store.drop("MinerModel", "uid-a") == [MODEL_A]
    assert store.put("MinerModel", raw) == []
    assert store.model("a") is None


def test_a_full_list_removes_what_a_lost_watch_missed(make: Make) -> None:
    store = Store()
    for name in ("a", "b"):
        store.put("MinerModel", make.model_raw(name))
    known = store.uids("MinerModel")
    store.put("MinerModel", make.model_raw("c"))  # came while the list was read
    store.replace("MinerModel", [make.model_raw("b")], known=known)
    assert (store.model("a"), store.model("b") is not None, store.model("c") is not None) == (None, True, True)


def test_a_model_concerns_its_unfinished_rounds(make: Make) -> None:
    store = Store()
    store.put("EvalRound", frozen(make))
    assert store.put("MinerModel", make.model_raw("a")) == [MODEL_A, ROUND_R]
    store.put("EvalRound", frozen(make, finishedAt="2026-01-01T00:01:00Z"))
    assert store.put("MinerModel", make.model_raw("a")) == [MODEL_A]
    assert [r.meta.name for r in store.rounds_of("a")] == ["r"]


def test_a_round_concerns_its_models_when_it_starts_and_ends(make: Make) -> None:
    store = Store()
    assert store.put("EvalRound", make.round_raw("r")) == [ROUND_R]
    assert store.put("EvalRound", frozen(make)) == [ROUND_R, MODEL_A]
    assert store.put("EvalRound", frozen(make, progress="1/2")) == [ROUND_R]
    assert store.put("EvalRound", frozen(make, finishedAt="2026-01-01T00:01:00Z")) == [ROUND_R, MODEL_A]
    assert store.drop("EvalRound", "uid-r") == [ROUND_R, MODEL_A]
    assert store.rounds_of("a") == []


def test_jobs_concern_what_they_are_for(make: Make) -> None:
    assert make.fetch("a").meta.labels
    store = Store()
    for job in (make.fetch("a"), make.evaluation("k")):
        raw = {
            "metadata": {"name": job.meta.name, "uid": job.meta.uid, "resourceVersion": "1", "labels": job.meta.labels}
        }
        raw["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
        keys = store.put("Job", raw | {"spec": {}})
        assert keys == [MODEL_A if "model" in str(job.meta.labels) else ROUND_R]
    assert [j.meta.name for j in store.jobs.of(ROUND_R)] == ["r-k"]


def test_what_cannot_be_read_is_left_alone(make: Make) -> None:
    store, raw = Store(), make.model_raw("a")
    store.put("MinerModel", raw)
    newer = make.model_raw("a")
    newer["status"] = {"inventedLater": True}
    assert store.put("MinerModel", newer) == []
    assert store.model("a") is not None
