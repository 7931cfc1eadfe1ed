"""Pools: the task set of the digest and no other, and the same task for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.evaluator.examiner.conftest import UID, built

from bitagent_crds.examiner import ExaminerReason, Pool, TaskSetFiles
from bitagent_crds.names import task_set_path
from bitagent_crds.texts import digest_of
from bitagent_evaluator.examiner import pools
from bitagent_evaluator.examiner.pools import Pools, RequestRefused, load

if TYPE_CHECKING:
    from tests.unit.evaluator.examiner.conftest import Volume


def test_two_validators_with_one_seed_ask_the_same_task(volume: Volume, tmp_path: Path) -> None:
    other = built(tmp_path, uid="another")
    assert other.pool.digest == volume.pool.digest
    first, second = load(volume.root, volume.pool), load(other.root, other.pool)
    drawn = [first.draw(f"seed {n}").id for n in range(200)]
    assert drawn == [second.draw(f"seed {n}").id for n in range(200)]
    assert len(set(drawn)) > len(first.lines) / 2, "the choice is spread over all of them"


def test_each_task_is_asked_once_before_any_is_asked_again(volume: Volume, tmp_path: Path) -> None:
    """Miners who share what they learn by feedback would know a task that is asked again."""
    other = built(tmp_path, uid="another")
    first, second = load(volume.root, volume.pool), load(other.root, other.pool)
    size = len(first.lines)
    drawn = [first.draw(f"seed {n}", n).id for n in range(1000, 1000 + 2 * size)]
    assert len(set(drawn[:size])) == size
    assert drawn[size:] == drawn[:size] == [second.draw("other", n).id for n in range(1000, 1000 + size)]
    assert drawn[:size] != list(first.lines), "categories are mixed"


def test_no_task_of_a_round_that_runs_is_asked(volume: Volume, tmp_path: Path) -> None:
    """Pool and round are drawn by other seeds, and altered in other ways, from one source."""
    sources = [{"bfcl": {"categories": ["simple_python"]}}]
    pool = built(tmp_path, uid="pool", count=60, seed="1", sources=sources)
    altered = [{"toolShuffle": {}}, {"functionMask": {}}]
    round_ = built(tmp_path, uid="round", count=300, seed="2", sources=sources, alterations=altered)
    shared = pool.tasks.keys() & round_.tasks.keys()
    assert 0 < len(shared) < len(pool.tasks)
    kept = Pools(tmp_path)
    running = kept.running([round_.files])
    loaded = kept.get(pool.pool)
    left = len(pool.tasks) - len(shared)
    asked = [loaded.draw("s", n, running=running).id for n in range(2 * left)]
    assert set(asked) == pool.tasks.keys() - shared, "and each once before any again"
    assert asked[:left] == asked[left:]
    assert loaded.draw("s", running=running).id not in shared
    assert {loaded.draw("s", n).id for n in range(len(pool.tasks))} == pool.tasks.keys(), "when it has ended"


def test_a_pool_of_which_all_tasks_are_in_use(volume: Volume) -> None:
    kept = Pools(volume.root)
    with pytest.raises(RequestRefused) as refused:
        kept.get(volume.pool).draw("s", 1, running=kept.running([volume.files]))
    assert refused.value.reason is ExaminerReason.POOL_IN_USE


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="gone"), pytest.param(b"{}\n", id="no tasks"), pytest.param(b"[", id="no JSON")]
)
def test_no_task_is_asked_while_those_of_a_running_round_are_unknown(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / task_set_path("round")
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "tasks.jsonl").write_bytes(content)
    with pytest.raises(RequestRefused) as refused:
        Pools(tmp_path).running([TaskSetFiles(round_uid="round", digest=digest_of(content or b""))])
    assert refused.value.reason is ExaminerReason.ROUND_UNREADABLE


def test_other_tasks_than_those_of_a_running_rounds_status_are_not_believed(volume: Volume) -> None:
    with pytest.raises(RequestRefused) as refused:
        Pools(volume.root).running([volume.files.model_copy(update={"digest": digest_of(b"")})])
    assert refused.value.reason is ExaminerReason.ROUND_UNREADABLE


def test_only_what_can_be_asked_and_judged(volume: Volume) -> None:
    def found(scorer: str) -> set[str]:
        return {volume.tasks[id_].category for id_ in load(volume.root, volume.of(scorer)).lines}

    assert found("Bfcl").isdisjoint({"multi_turn_base"})
    assert "parallel" in found("Bfcl") - found("BitAgent202411")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"round_uid": "other"}, ExaminerReason.POOL_MISSING, id="no such round"),
        pytest.param({"digest": "sha256:" + "0" * 64}, ExaminerReason.POOL_CHANGED, id="other tasks"),
        pytest.param({"scorer": "Loss"}, ExaminerReason.POOL_UNSUITABLE, id="nothing to judge"),
    ],
)
def test_a_pool_that_is_refused(volume: Volume, change: dict[str, str], reason: ExaminerReason) -> None:
    with pytest.raises(RequestRefused) as refused:
        load(volume.root, volume.pool.model_copy(update=change))
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"{}\n", ExaminerReason.POOL_CHANGED, id="no task"),
        pytest.param(b"", ExaminerReason.POOL_UNSUITABLE, id="empty"),
        pytest.param(b"\n" * 100, ExaminerReason.POOL_TOO_LARGE, id="too large"),
    ],
)
def test_files_that_are_no_pool(
    tmp_path: Path, content: bytes, reason: ExaminerReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "POOL_BYTES", 50)
    folder = tmp_path / task_set_path(UID)
    folder.mkdir(parents=True)
    (folder / "tasks.jsonl").write_bytes(content)
    with pytest.raises(RequestRefused) as refused:
        load(tmp_path, Pool(round_uid=UID, digest=digest_of(content)))
    assert refused.value.reason is reason


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / task_set_path(UID) / "tasks.jsonl").mkdir(parents=True)
    with pytest.raises(RequestRefused) as refused:
        load(tmp_path, Pool(round_uid=UID, digest=digest_of(b"")))
    assert refused.value.reason is ExaminerReason.POOL_MISSING


def test_a_task_that_is_not_asked(volume: Volume) -> None:
    hidden = next(task for task in volume.tasks.values() if task.category == "multi_turn_base")
    for id_ in ("unknown", hidden.id):
        with pytest.raises(RequestRefused) as refused:
            load(volume.root, volume.pool).task(id_)
        assert refused.value.reason is ExaminerReason.TASK_MISSING


def test_pools_are_read_once_and_the_oldest_is_dropped(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "KEPT_POOLS", 2)
    kept = Pools(volume.root)
    first = kept.get(volume.pool)
    assert kept.get(volume.pool) is first
    for scorer in ("BitAgent202411", "ExactMatch"):
        kept.get(volume.of(scorer))
    assert kept.get(volume.pool) is not first
