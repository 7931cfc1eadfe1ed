"""Packs on a real API server: one Job for several models, of which each counts by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

EVALUATE = {"app.kubernetes.io/component": "evaluate"}
PACKING = {"mode": "SameArchitecture", "maxModels": 4}


def evaluations(world: World) -> list[tuple[str, list[str]]]:
    """The attempt and the models of each evaluation Job, by their origins."""
    found = []
    for job in world.all("jobs", **EVALUATE):
        document = world.document(job)
        members = [m["job"] for m in document["members"]] if document["kind"] == "Pack" else [document]
        names = sorted(member["repo"].removeprefix("org/") for member in members)
        found.append((job["metadata"]["labels"]["bitagent.io/attempt"], names))
    return sorted(found)


def fetched(world: World, *models: str) -> None:
    """Models that are ready before the round begins, so that all of them are ready at once."""
    for model in models:
        world.model(model)
    for model in models:
        world.until_condition("minermodels", model, "Fetched")


def test_a_pack_of_four_with_a_fault_and_a_crash(operator: World, outcomes: Outcomes) -> None:
    """A model's fault and a crash of one model's process concern no other; what crashed is evaluated alone."""
    crashed: list[str] = []

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] != "Evaluate":
            return outcomes.usual(pod, document)
        if document["repo"] == "org/nan-100":
            return outcomes.refused_evaluation("NonFiniteWeights", "NaN in layer 3")
        if document["repo"] == "org/weak-200" and not crashed:
            crashed.append(pod["metadata"]["name"])
            return outcomes.failed_evaluation("Crashed", "SIGSEGV")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    fetched(operator, "nan-100", "weak-200", "good-300", "best-400")
    operator.round("packed", packing=PACKING)
    status = operator.until_condition("evalrounds", "packed", "Complete")["status"]
    found = {r["model"]: (r["state"], r["reason"], r["score"]) for r in status["results"]}
    assert found == {
        "nan-100": ("ModelFault", "NonFiniteWeights", "0.000000"),
        "weak-200": ("Succeeded", "Evaluated", "0.200000"),
        "good-300": ("Succeeded", "Evaluated", "0.300000"),
        "best-400": ("Succeeded", "Evaluated", "0.400000"),
    }
    assert evaluations(operator) == [("1", ["best-400", "good-300", "nan-100", "weak-200"]), ("2", ["weak-200"])]


def test_a_container_that_dies_takes_no_result_with_it(operator: World, outcomes: Outcomes) -> None:
    died: list[str] = []

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate" and document["repo"] == "org/b-200" and not died:
            died.append("")
            return outcomes.crashed(137, "", "OOMKilled", engine=True)
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    fetched(operator, "a-100", "b-200", "c-300", "d-400")
    operator.round("dies", packing=PACKING)
    operator.until_condition("evalrounds", "dies", "Complete")
    results = operator.results("dies")
    assert [r["score"] for _, r in sorted(results.items())] == ["0.100000", "0.200000", "0.300000", "0.400000"]
    first, *later = evaluations(operator)
    assert first == ("1", ["a-100", "b-200", "c-300", "d-400"])
    assert sorted(later) == [("2", ["b-200"]), ("2", ["c-300", "d-400"])]
    assert results["a-100"]["attempts"] == 1, "its result was there"
    assert results["c-300"]["attempts"] == 1, "its turn had not come"


def owners(world: World) -> set[str]:
    """The uids of the objects that own pods."""
    return {pod["metadata"]["ownerReferences"][0]["uid"] for pod in world.all("pods")}


def test_a_container_that_never_starts_keeps_neither_gpu_nor_result(world: World, outcomes: Outcomes) -> None:
    """Its model is evaluated again, alone, once the engine has ended; the pack's Job goes with the pod that hangs."""
    world.constants["bitagent_operator.plan.jobs.pods:LINGERING"] = timedelta(seconds=3)
    world.start_operator()
    may_end: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        held = document["kind"] == "Evaluate" and document["repo"] not in may_end
        return None if held else outcomes.usual(pod, document)

    world.kubelet.script, world.kubelet.mute = script, {"org/a-100"}
    fetched(world, "a-100", "b-200", "c-300")
    world.round("mute", packing=PACKING, workload={"parallelism": 1})

    def reason(model: str) -> str:
        return str(world.results("mute")[model]["reason"])

    world.until("the cause, while the engine runs", lambda: reason("a-100") == "ImagePullFailed")
    world.kubelet.mute = set()
    (pack,) = world.all("jobs", **EVALUATE)
    may_end |= {"org/a-100", "org/b-200", "org/c-300"}
    world.until_condition("evalrounds", "mute", "Complete")
    assert [r["score"] for _, r in sorted(world.results("mute").items())] == ["0.100000", "0.200000", "0.300000"]
    world.until("the pack's Job is gone", lambda: evaluations(world) == [("2", ["a-100"])])
    assert {name: r["attempts"] for name, r in world.results("mute").items()} == {"a-100": 2, "b-200": 1, "c-300": 1}
    world.until("so is its pod", lambda: pack["metadata"]["uid"] not in owners(world))


def test_a_supervisor_that_hangs_keeps_the_others_for_the_time_of_one(operator: World, outcomes: Outcomes) -> None:
    """Its Job is deleted; the model whose turn it was is evaluated alone, and the others are packed again."""
    hangs = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        held = hangs and document["kind"] == "Evaluate" and document["repo"] == "org/a-100"
        return None if held else outcomes.usual(pod, document)

    operator.kubelet.script, operator.kubelet.age = script, 7200 + 301
    fetched(operator, "a-100", "b-200", "c-300", "d-400")
    operator.round("hangs", packing=PACKING, workload={"maxAttempts": 1})
    (pack,) = operator.until("a pack", lambda: operator.all("jobs", **EVALUATE))
    operator.until("the hang is recorded", lambda: operator.results("hangs")["a-100"]["stalls"])
    assert operator.results("hangs")["a-100"]["reason"] == "EngineStalled"
    operator.kubelet.age = 0
    gone, uid = pack["metadata"]["name"], pack["metadata"]["uid"]
    operator.until("its Job is gone", lambda: gone not in {j["metadata"]["name"] for j in operator.all("jobs")})
    hangs = False
    operator.until_condition("evalrounds", "hangs", "Complete")
    results = sorted(operator.results("hangs").items())
    assert [r["score"] for _, r in results] == ["0.100000", "0.200000", "0.300000", "0.400000"]
    assert evaluations(operator) == [("1", ["a-100"]), ("1", ["b-200", "c-300", "d-400"])]
    assert uid not in owners(operator)


def test_each_result_is_there_before_the_next_model_ends(operator: World, outcomes: Outcomes) -> None:
    may_end = {"org/a-100"}

    def script(pod: Obj, document: Obj) -> Exit | None:
        held = document["kind"] == "Evaluate" and document["repo"] not in may_end
        return None if held else outcomes.usual(pod, document)

    operator.kubelet.script = script
    fetched(operator, "a-100", "b-200", "c-300")
    operator.round("one-by-one", packing=PACKING)

    def states() -> dict[str, tuple[str, str]]:
        return {name: (r["state"], r["reason"]) for name, r in operator.results("one-by-one").items()}

    done, runs, waits = ("Succeeded", "Evaluated"), ("Running", "Evaluating"), ("Pending", "WaitingInPack")
    operator.until("first", lambda: states() == {"a-100": done, "b-200": runs, "c-300": waits})
    may_end.add("org/b-200")
    operator.until("second", lambda: states() == {"a-100": done, "b-200": done, "c-300": runs})
    operator.kill_operator()
    may_end.add("org/c-300")
    operator.start_operator()
    status = operator.until_condition("evalrounds", "one-by-one", "Complete")["status"]
    assert [r["score"] for r in status["results"]] == ["0.100000", "0.200000", "0.300000"]
    assert evaluations(operator) == [("1", ["a-100", "b-200", "c-300"])]
    assert [r["attempts"] for r in status["results"]] == [1, 1, 1]
