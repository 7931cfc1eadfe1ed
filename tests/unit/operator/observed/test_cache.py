"""Observed objects, and whom they concern. What a table of one kind keeps is tested with `ObjectCache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import REWRITER_LABEL, VALIDATOR_LABEL
from bitagent_operator.observed.cache import Cache, Key, Kind

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

MODEL_A, ROUND_R = Key(Kind.MODEL, "a"), Key(Kind.ROUND, "r")


def frozen(make: Make, **status: Any) -> dict[str, Any]:
    return make.round_raw("r", status={"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}]} | status)


def test_the_newer_version_wins(make: Make) -> None:
    cache, old = Cache(), make.model_raw("a")
    new = make.model_raw("a", suspend=True)
    assert cache.put("MinerModel", new) == [MODEL_A]
    assert cache.put("MinerModel", old) == []
    model = cache.model("a")
    assert model is not None
    assert model.spec.suspend


def test_a_deleted_object_does_not_come_back_by_an_older_event(make: Make) -> None:
    cache, raw = Cache(), make.model_raw("a")
    cache.put("MinerModel", raw)
    assert cache.drop("MinerModel", "uid-a") == [MODEL_A]
    assert cache.put("MinerModel", raw) == []
    assert cache.model("a") is None


def test_a_full_list_removes_what_a_lost_watch_missed(make: Make) -> None:
    cache = Cache()
    for name in ("a", "b"):
        cache.put("MinerModel", make.model_raw(name))
    known = cache.begin_list("MinerModel")
    cache.put("MinerModel", make.model_raw("c"))  # came while the list was read
    cache.replace("MinerModel", [make.model_raw("b")], known=known)
    assert (cache.model("a"), cache.model("b") is not None, cache.model("c") is not None) == (None, True, True)


def test_a_model_concerns_its_unfinished_rounds(make: Make) -> None:
    cache = Cache()
    cache.put("EvalRound", frozen(make))
    assert cache.put("MinerModel", make.model_raw("a")) == [MODEL_A, ROUND_R]
    cache.put("EvalRound", frozen(make, finishedAt="2026-01-01T00:01:00Z"))
    assert cache.put("MinerModel", make.model_raw("a")) == [MODEL_A]
    assert [r.meta.name for r in cache.rounds_of("a")] == ["r"]


def test_a_round_concerns_a_model_whose_files_are_lost(make: Make) -> None:
    cache = Cache()
    cache.put("EvalRound", frozen(make))
    lost = [{"model": "a", "reason": "ModelFilesMissing"}]  # by its pod, whose Job has not ended
    assert cache.put("EvalRound", frozen(make, results=lost)) == [ROUND_R]
    lost[0]["finishedAt"] = "2026-01-01T00:00:30Z"
    assert cache.put("EvalRound", frozen(make, results=lost)) == [ROUND_R, MODEL_A]
    assert cache.put("EvalRound", frozen(make, results=lost, progress="0/1")) == [ROUND_R]


def test_a_round_concerns_its_models_when_it_starts_and_ends(make: Make) -> None:
    cache = Cache()
    assert cache.put("EvalRound", make.round_raw("r")) == [ROUND_R]
    assert cache.put("EvalRound", frozen(make)) == [ROUND_R, MODEL_A]
    assert cache.put("EvalRound", frozen(make, progress="1/2")) == [ROUND_R]
    assert cache.put("EvalRound", frozen(make, finishedAt="2026-01-01T00:01:00Z")) == [ROUND_R, MODEL_A]
    assert cache.drop("EvalRound", "uid-r") == [ROUND_R, MODEL_A]
    assert cache.rounds_of("a") == []
    assert not cache._rounds_of, "no name of a model stays for ever"


def test_jobs_concern_what_they_are_for(make: Make) -> None:
    assert make.fetch("a").meta.labels
    cache = Cache()
    for job in (make.fetch("a"), make.evaluation("k")):
        raw = {
            "metadata": {"name": job.meta.name, "uid": job.meta.uid, "resourceVersion": "1", "labels": job.meta.labels}
        }
        raw["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
        keys = cache.put("Job", raw | {"spec": {}})
        assert keys == [MODEL_A if "model" in str(job.meta.labels) else ROUND_R]
    assert [j.meta.name for j in cache.jobs.of(ROUND_R)] == ["r-k"]


def test_what_cannot_be_read_concerns_itself_and_its_rounds(make: Make) -> None:
    cache = Cache()
    cache.put("EvalRound", make.round_raw(status={"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}]}))
    cache.put("MinerModel", make.model_raw("a"))
    worse = make.model_raw("a", raw_spec={"inventedLater": True})
    assert cache.put("MinerModel", worse) == [MODEL_A, ROUND_R]
    assert cache.model("a") is None, "not what it was before"
    found = cache.unreadable(MODEL_A)
    assert found is not None
    assert found.error.startswith("spec.inventedLater: ")
    assert [*cache.unreadable_models(), *cache.keys()] == ["a", ROUND_R, MODEL_A]
    assert cache.put("MinerModel", worse) == [], "no news"
    assert cache.put("MinerModel", make.model_raw("a")) == [MODEL_A, ROUND_R]
    assert (cache.model("a") is not None, cache.unreadable(MODEL_A)) == (True, None)


def test_a_deleted_object_that_could_not_be_read_concerns_its_rounds(make: Make) -> None:
    cache = Cache()
    cache.put("EvalRound", make.round_raw(status={"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}]}))
    cache.put("MinerModel", make.model_raw("a", raw_spec={"inventedLater": True}))
    assert cache.drop("MinerModel", "uid-a") == [MODEL_A, ROUND_R]
    assert cache.unreadable(MODEL_A) is None


@pytest.mark.parametrize("readable", [True, False], ids=["can be read", "cannot"])
def test_of_two_models_of_one_name_the_newer_counts(make: Make, readable: bool) -> None:
    """One was deleted while there was no watch, and created again."""
    cache, later = Cache(), {"inventedLater": True}
    cache.put("MinerModel", make.model_raw("a", raw_spec={} if not readable else later, uid="first"))
    cache.put("MinerModel", make.model_raw("a", raw_spec={} if readable else later, uid="second"))
    assert list(cache.unreadable_models()) == ([] if readable else ["a"])
    assert (cache.unreadable(MODEL_A) is None) is readable


@pytest.mark.parametrize("broken", [{"spec": None}, {"spec": []}, {"status": 7}], ids=str)
def test_whatever_it_is_it_is_only_unreadable(make: Make, broken: dict[str, Any]) -> None:
    cache = Cache()
    assert cache.put("EvalRound", make.round_raw() | broken) == [ROUND_R]
    assert cache.unreadable(ROUND_R) is not None


def test_a_job_that_gets_another_label_concerns_another_object(make: Make) -> None:
    cache, job = Cache(), make.fetch("a")
    raw = {"metadata": make.meta(job.meta.name, labels=dict(job.meta.labels)), "spec": {}}
    cache.put("Job", raw)
    cache.put("Job", {"metadata": make.meta(job.meta.name, labels={"bitagent.io/model": "b"}), "spec": {}})
    assert cache.jobs.of(MODEL_A) == []
    assert [j.meta.name for j in cache.jobs.of(Key(Kind.MODEL, "b"))] == [job.meta.name]


def test_a_full_list_names_what_its_changes_concern(make: Make) -> None:
    cache = Cache()
    cache.put("MinerModel", make.model_raw("gone"))
    old = make.model_raw("old")
    cache.put("MinerModel", old)
    keys = cache.replace("MinerModel", [old, make.model_raw("a")], known=cache.begin_list("MinerModel"))
    assert set(keys) == {MODEL_A, Key(Kind.MODEL, "gone")}
    assert set(cache.keys()) == {MODEL_A, Key(Kind.MODEL, "old")}


def names(keys: list[Key]) -> set[str]:
    return {key.name for key in keys}


def test_older_models_of_a_hotkey(make: Make) -> None:
    cache = Cache()
    for name, created in (("first", 1), ("second", 2), ("other", 0)):
        cache.put("MinerModel", make.model_raw(name, created=created, hotkey="x" if name != "other" else "y"))
    second = cache.model("second")
    assert second is not None
    assert [m.meta.name for m in cache.older_of_hotkey(second)] == ["first"]
    alone = make.model("alone")
    assert cache.older_of_hotkey(alone) == [], "a model without a miner has no hotkey"


def test_a_model_that_goes_concerns_the_newer_ones_of_its_hotkey(make: Make) -> None:
    """One of them may be fetched now."""
    cache = Cache()
    first = make.model_raw("first", created=1, hotkey="x")
    cache.put("MinerModel", first)
    for name, created, hotkey in (("second", 2, "x"), ("third", 3, "x"), ("other", 4, "y")):
        assert names(cache.put("MinerModel", make.model_raw(name, created=created, hotkey=hotkey))) == {name}
    changed = make.model_raw("first", created=1, hotkey="x", fetched=True)
    assert names(cache.put("MinerModel", changed)) == {"first"}
    deleting = make.model_raw("first", created=1, hotkey="x", deletionTimestamp="2026-01-01T00:00:00Z")
    assert names(cache.put("MinerModel", deleting)) == {"first", "second", "third"}
    second, third = cache.model("second"), cache.model("third")
    assert second is not None
    assert third is not None
    assert cache.older_of_hotkey(second) == []
    assert names(cache.drop("MinerModel", first["metadata"]["uid"])) == {"first"}, "reported once"
    assert names(cache.drop("MinerModel", second.meta.uid)) == {"second", "third"}
    assert cache.older_of_hotkey(third) == []


@pytest.mark.parametrize(
    ("before", "after", "concerned"),
    [
        pytest.param({}, {"a": {"commit": "a" * 40}}, {"r", "a"}, id="one is fixed"),
        pytest.param({"a": {"commit": "a" * 40}}, {"a": {"commit": "a" * 40}}, {"r"}, id="nothing"),
        pytest.param({}, {"a": {"message": "waits"}}, {"r"}, id="a message"),
        pytest.param(
            {"b": {"commit": "a" * 40}},
            {"b": {"commit": "a" * 40, "weightsDigest": "sha256:" + "1" * 64}},
            {"r", "b"},
            id="one is admitted",
        ),
    ],
)
def test_a_round_concerns_the_models_that_it_fixes_and_admits(
    make: Make, before: dict[str, Any], after: dict[str, Any], concerned: set[str]
) -> None:
    def status(results: dict[str, Any]) -> dict[str, Any]:
        return {"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": m} | results.get(m, {}) for m in ("a", "b")]}

    cache = Cache()
    cache.put("EvalRound", make.round_raw(status=status(before)))
    assert names(cache.put("EvalRound", make.round_raw(status=status(after)))) == concerned


def test_a_seed_that_is_published_concerns_all_models(make: Make) -> None:
    """Resolutions that run are of no use any longer."""
    status = {"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}, {"model": "b"}]}
    cache = Cache()
    cache.put("EvalRound", make.round_raw(status=status, spec_tasks=make.seed_from()))
    known = cache.put("EvalRound", make.round_raw(status=status, spec_tasks=make.seed_from(published=True)))
    assert names(known) == {"r", "a", "b"}


def reworded(make: Make, *, label: str = VALIDATOR_LABEL, **more: Any) -> dict[str, Any]:
    raw = make.round_raw(spec_tasks={"seed": "1", "alterations": [{"rewrite": {}}]}, **more)
    raw["metadata"]["labels"] = {label: "v"}
    return raw


@pytest.mark.parametrize("label", [VALIDATOR_LABEL, REWRITER_LABEL], ids=["the Validator's round", "a person's"])
def test_a_round_concerns_the_rewriter_that_it_begins_and_ceases_to_need(make: Make, label: str) -> None:
    cache, validator = Cache(), Key(Kind.VALIDATOR, "v")
    assert cache.put("EvalRound", reworded(make, label=label)) == [ROUND_R, validator]
    assert cache.put("EvalRound", reworded(make, label=label, status={"progress": "0/1"})) == [ROUND_R]
    assert cache.put("EvalRound", reworded(make, label=label, status={"taskSet": make.TASK_SET})) == [
        ROUND_R,
        validator,
    ]
    other = make.round_raw("s")
    other["metadata"]["labels"] = {label: "v"}
    assert cache.put("EvalRound", other) == [Key(Kind.ROUND, "s")], "it asks as published"


def test_a_rewriter_concerns_the_rounds_that_wait_for_it(make: Make) -> None:
    cache, validator = Cache(), Key(Kind.VALIDATOR, "v")
    cache.put("EvalRound", reworded(make))
    cache.put("Validator", make.validator_raw("v"))
    ready = make.condition("RewriterReady", "True", "RewriterReady")
    assert cache.put("Validator", make.validator_raw("v", conditions=[ready])) == [validator, ROUND_R]
    assert cache.put("Validator", make.validator_raw("v", conditions=[ready])) == [validator], "nothing is new about it"
    cache.put("EvalRound", reworded(make, status={"taskSet": make.TASK_SET}))
    assert cache.put("Validator", make.validator_raw("v")) == [validator], "no round waits"


def test_a_model_that_is_gone_concerns_the_finished_rounds_too(make: Make) -> None:
    """Their Jobs keep its volume."""
    cache = Cache()
    cache.put("MinerModel", make.model_raw("a"))
    cache.put("EvalRound", frozen(make, finishedAt="2026-01-01T00:01:00Z"))
    assert cache.put("MinerModel", make.model_raw("a", resourceVersion="9", labels={"x": "y"})) == [MODEL_A]
    assert cache.drop("MinerModel", "uid-a") == [MODEL_A, ROUND_R]


def test_a_measurement_of_the_volume_concerns_the_finished_rounds(make: Make) -> None:
    cache = Cache()
    finished = {"finishedAt": "2026-01-01T00:01:40Z"}
    cache.put("EvalRound", make.round_raw("gives-way", status=finished))
    cache.put("EvalRound", make.round_raw("runs"))
    cache.put("EvalRound", frozen(make, **finished))
    files = {"freeBytes": 1, "checkedAt": "2026-01-01T00:02:00Z"}
    keys = cache.put("EvalRound", frozen(make, files=files, **finished))
    assert keys == [ROUND_R, Key(Kind.ROUND, "gives-way")]
    assert cache.put("EvalRound", frozen(make, files=files, progress="1/1", **finished)) == [ROUND_R]
