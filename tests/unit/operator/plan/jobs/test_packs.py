"""The part that one evaluation has in a pack: how it has ended, and whose results may still be written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_NOT_BEGUN, EXIT_PACK_LOST, EXIT_STOPPED, EvaluateSummary, outcome_container
from bitagent_crds.names import ATTEMPT_LABEL, KEY_LABEL, PACK_PREFIX, ROUND_LABEL, Component
from bitagent_operator import naming
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.jobs.packs import open_keys, part_of, parts
from bitagent_operator.plan.jobs.pods import overdue, pod_problem

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

KEYS = ("a", "b", "c")
RUNS = None
STUCK = -1
"""Of a container: its image cannot be pulled."""


def pack(make: Make, **more: Any) -> JobObject:
    purpose = {ROUND_LABEL: "r", KEY_LABEL: "p", ATTEMPT_LABEL: "1"}
    places = {f"{PACK_PREFIX}{key}": str(n) for n, key in enumerate(KEYS)}
    return make.job("r-p", owner="uid-r", labels=naming.labels(Component.EVALUATE, purpose | places), **more)


def pod(make: Make, job: JobObject, *codes: int | None, engine: int | None = None, **more: Any) -> PodObject:
    def state(code: int | None) -> dict[str, Any]:
        if code is None:
            return {"running": {"startedAt": "2026-01-01T00:00:01Z"}}
        if code == STUCK:
            return {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
        started = {} if code == 128 else {"startedAt": "2026-01-01T00:00:01Z"}  # 128: it could not
        return {"terminated": {"exitCode": code, "finishedAt": "2026-01-01T00:00:30Z"} | started}

    found = [{"name": "evaluate", "state": state(engine)}]
    found += [{"name": outcome_container(key), "state": state(c)} for key, c in zip(KEYS, codes, strict=True)]
    phase = "Running" if engine is None else "Failed"
    phase = "Pending" if STUCK in codes else "Running" if RUNS in codes else phase
    return make.pod(job, status={"phase": phase, "containerStatuses": found} | more.pop("status", {}), **more)


@pytest.mark.parametrize(
    ("codes", "engine", "seen"),
    [
        pytest.param((RUNS, RUNS, RUNS), None, [(None, 0), (None, 1), (None, 2)], id="the first one's turn"),
        pytest.param((0, RUNS, RUNS), None, [(0, 0), (None, 0), (None, 1)], id="the second one's turn"),
        pytest.param((78, 1, RUNS), None, [(78, 0), (1, 0), (None, 0)], id="the third one's turn"),
        pytest.param(
            (0, EXIT_PACK_LOST, EXIT_NOT_BEGUN), 137, [(0, 0), (137, 0), (EXIT_NOT_BEGUN, 1)], id="the engine died"
        ),
        pytest.param(
            (0, EXIT_PACK_LOST, EXIT_NOT_BEGUN), None, [(0, 0), (None, 0), (None, 0)], id="its end is not known yet"
        ),
        pytest.param(
            (0, EXIT_STOPPED, EXIT_NOT_BEGUN),
            EXIT_STOPPED,
            [(0, 0), (EXIT_STOPPED, 0), (EXIT_STOPPED, 1)],
            id="stopped",
        ),
        pytest.param((RUNS, RUNS, RUNS), 128, [(128, 0), (128, 0), (128, 0)], id="it never ran"),
        pytest.param((137, RUNS, RUNS), None, [(None, 0), (None, 1), (None, 2)], id="a container that waits is killed"),
        pytest.param((137, 0, 0), 0, [(137, 0), (0, 0), (0, 0)], id="killed, and the engine has ended"),
        pytest.param((0, 137, 137), 137, [(0, 0), (137, 0), (137, 1)], id="the whole pod is killed"),
        pytest.param((0, EXIT_PACK_LOST, RUNS), 78, [(0, 0), (None, 0), (None, 0)], id="the last one has yet to end"),
        pytest.param((0, EXIT_PACK_LOST, 0), 78, [(0, 0), (EXIT_PACK_LOST, 0), (0, 0)], id="never a verdict"),
        pytest.param((RUNS, RUNS, RUNS), 137, [(None, 0), (None, 1), (None, 2)], id="the engine's end is seen first"),
        pytest.param((0, STUCK, 0), 0, [(0, 0), (None, 0), (0, 0)], id="one cannot start"),
        pytest.param((0, STUCK, 1), 1, [(0, 0), (None, 0), (1, 0)], id="one cannot start, and another one failed"),
    ],
)
def test_how_each_has_ended(
    make: Make, codes: tuple[int | None, ...], engine: int | None, seen: list[tuple[int | None, int]]
) -> None:
    job = pack(make)
    found = [views for _, views in parts(job, [pod(make, job, *codes, engine=engine)])]
    assert [(v.terminated.exit_code if v.terminated else None, v.ahead) for (v,) in found] == seen


@pytest.mark.parametrize(
    ("codes", "engine", "more", "still"),
    [
        pytest.param((RUNS, RUNS, RUNS), None, {}, "abc", id="none has ended"),
        pytest.param((0, 78, RUNS), None, {}, "c", id="with verdicts"),
        pytest.param((1, 75, RUNS), None, {}, "c", id="with failures"),
        pytest.param((137, 128, RUNS), None, {}, "abc", id="containers that wait are killed or cannot start"),
        pytest.param((0, EXIT_STOPPED, EXIT_NOT_BEGUN), EXIT_STOPPED, {}, "bc", id="another pod follows"),
        pytest.param(
            (1, EXIT_STOPPED, EXIT_NOT_BEGUN), EXIT_STOPPED, {}, "abc", id="the next pod begins with the first"
        ),
        pytest.param((1, RUNS, RUNS), None, {"deleted": 30}, "abc", id="its pod is being deleted"),
    ],
)
def test_what_it_may_still_write(
    make: Make, codes: tuple[int | None, ...], engine: int | None, more: dict[str, Any], still: str
) -> None:
    job = pack(make)
    assert open_keys(job, [pod(make, job, *codes, engine=engine, **more)]) == set(still)


@pytest.mark.parametrize(
    ("codes", "engine", "phase", "silent"),
    [
        pytest.param((STUCK, RUNS, RUNS), RUNS, "Pending", "---", id="the engine runs"),
        pytest.param((78, STUCK, 78), 0, "Pending", "-+-", id="one cannot start"),
        pytest.param((78, STUCK, 1), 1, "Pending", "-+-", id="one cannot start, and one model failed"),
        pytest.param((78, RUNS, 78), 0, "Running", "-+-", id="one does not end"),
        pytest.param((0, RUNS, RUNS), RUNS, "Running", "+--", id="one has ended well, if its result can be read"),
        pytest.param((78, STUCK, EXIT_PACK_LOST), 0, "Pending", "-++", id="another one was lost"),
        pytest.param((RUNS, RUNS, RUNS), 137, "Running", "+++", id="none has ended yet"),
        pytest.param((78, EXIT_PACK_LOST, STUCK), 137, "Pending", "--+", id="the engine was killed"),
        pytest.param((STUCK, RUNS, RUNS), 128, "Pending", "---", id="the engine never ran"),
        pytest.param((0, STUCK, 0), 0, "Failed", "---", id="the pod has ended"),
    ],
)
def test_whose_outcome_is_not_passed_on(
    make: Make, codes: tuple[int | None, ...], engine: int | None, phase: str, silent: str
) -> None:
    job = pack(make)
    found = [views for _, views in parts(job, [pod(make, job, *codes, engine=engine, status={"phase": phase})])]
    assert "".join("-" if view.silent_since is None else "+" for (view,) in found) == silent
    assert {view.silent_since for (view,) in found} <= {None, make.at(30)}


@pytest.mark.parametrize(
    ("codes", "engine", "now", "reason", "over"),
    [
        pytest.param((STUCK, RUNS, RUNS), RUNS, 600, Reason.IMAGE_PULL_FAILED, False, id="while the engine runs"),
        pytest.param((STUCK, 0, 0), 0, 89, Reason.IMAGE_PULL_FAILED, False, id="a second is left"),
        pytest.param((STUCK, 0, 0), 0, 90, Reason.IMAGE_PULL_FAILED, True, id="it has had a minute"),
        pytest.param((STUCK, 0, 1), 1, 90, Reason.IMAGE_PULL_FAILED, True, id="not the failure of another model"),
        pytest.param((RUNS, 0, 0), 0, 90, Reason.RESULT_LOST, True, id="it runs on"),
        pytest.param((RUNS, 0, 0), 0, 89, None, False, id="it may end yet"),
    ],
)
def test_it_is_waited_for_and_then_given_up(
    make: Make, codes: tuple[int | None, ...], engine: int | None, now: float, reason: Reason | None, over: bool
) -> None:
    job = pack(make)
    _, (view,) = part_of(job, [pod(make, job, *codes, engine=engine)], "a")
    pass_ = make.pass_(now=now)
    late = overdue(view, EvaluateSummary, pass_)
    found = late.problem if late is not None else pod_problem(view, EvaluateSummary, pass_)
    assert (found.reason if found is not None else None, late is not None) == (reason, over)
    if now == 89:
        assert pass_.next_look() == 1


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        pytest.param("ImagePullBackOff", Reason.IMAGE_PULL_FAILED, id="image"),
        pytest.param("CreateContainerError", Reason.POD_NOT_STARTED, id="runtime"),
        pytest.param("CreateContainerConfigError", Reason.POD_NOT_STARTED, id="volume"),
    ],
)
def test_why_it_cannot_start_is_said_in_the_nodes_words(make: Make, waiting: str, reason: Reason) -> None:
    job = pack(make)
    whole = pod(make, job, STUCK, RUNS, RUNS)
    (wait,) = whole.waits
    stuck = replace(whole, waits=(replace(wait, reason=waiting, message="the node's words"),))
    _, (view,) = part_of(job, [stuck], "a")
    found = pod_problem(view, EvaluateSummary, make.pass_())
    assert found is not None
    assert (found.reason, "the node's words" in found.message) == (reason, True)
    assert pod_problem(part_of(job, [stuck], "b")[1][0], EvaluateSummary, make.pass_()) is None


def test_a_part_looks_like_a_job_of_its_own(make: Make) -> None:
    job = pack(make)
    part, _ = part_of(job, [pod(make, job, 0, 1, None)], "b")
    assert (part.key, part.members, part.in_pack, part.attempt) == ("b", (), True, 1)
    assert part.ended is not None and not part.ended.complete
    alone = make.evaluation("k")
    assert parts(alone, []) == [(alone, [])]
    assert open_keys(alone, []) == {"k"}
