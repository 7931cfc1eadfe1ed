"""The part that one evaluation has in a pack: how it has ended, and whose results may still be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EXIT_NOT_BEGUN, EXIT_PACK_LOST, EXIT_STOPPED, outcome_container
from bitagent_crds.names import ATTEMPT_LABEL, KEY_LABEL, PACK_PREFIX, ROUND_LABEL, Component
from bitagent_operator import naming
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.jobs.packs import open_keys, part_of, parts

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

KEYS = ("a", "b", "c")
RUNS = None


def pack(make: Make, **more: Any) -> JobObject:
    purpose = {ROUND_LABEL: "r", KEY_LABEL: "p", ATTEMPT_LABEL: "1"}
    places = {f"{PACK_PREFIX}{key}": str(n) for n, key in enumerate(KEYS)}
    return make.job("r-p", owner="uid-r", labels=naming.labels(Component.EVALUATE, purpose | places), **more)


def pod(make: Make, job: JobObject, *codes: int | None, engine: int | None = None, **more: Any) -> PodObject:
    def state(code: int | None) -> dict[str, Any]:
        if code is None:
            return {"running": {"startedAt": "2026-01-01T00:00:01Z"}}
        started = {} if code == 128 else {"startedAt": "2026-01-01T00:00:01Z"}  # 128: it could not
        return {"terminated": {"exitCode": code, "finishedAt": "2026-01-01T00:00:30Z"} | started}

    found = [{"name": "evaluate", "state": state(engine)}]
    found += [{"name": outcome_container(key), "state": state(c)} for key, c in zip(KEYS, codes, strict=True)]
    phase = "Running" if engine is None else "Failed"
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
        pytest.param((0, EXIT_PACK_LOST, RUNS), 78, [(0, 0), (EXIT_PACK_LOST, 0), (None, 0)], id="never a verdict"),
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


def test_a_part_looks_like_a_job_of_its_own(make: Make) -> None:
    job = pack(make)
    part, _ = part_of(job, [pod(make, job, 0, 1, None)], "b")
    assert (part.key, part.members, part.in_pack, part.attempt) == ("b", (), True, 1)
    assert part.ended is not None and not part.ended.complete
    alone = make.evaluation("k")
    assert parts(alone, []) == [(alone, [])]
    assert open_keys(alone, []) == {"k"}
