"""The engine's process of a pack: when it continues with the next model, and what is read ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateJob, EvaluateSummary, HardwareFacts, PackJob
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.jobs import pack_engine as module
from bitagent_evaluator.jobs.evaluate import ReportingBackend
from bitagent_evaluator.jobs.runner import Stopped
from bitagent_evaluator.support.progress import ProgressBoard

DIGEST = "sha256:" + "1" * 64
PLAN = EnginePlan({}, {}, "float32")


class FakeBackend:
    """Loads any model."""

    identity = "fake"

    def prepare(self, model_dir: Path) -> None: ...

    def hardware(self) -> Hardware:
        return Hardware(0, "fake")

    def hardware_facts(self) -> HardwareFacts | None:
        return None

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Any]:
        yield None


def pack(*models: str) -> PackJob:
    run = {"commit": "a" * 40, "weightsDigest": DIGEST, "taskSetDigest": DIGEST, "maxTokens": 8, "repo": "org/x"}
    members = [
        {"key": f"k{i}", "job": run | {"modelDir": f"/{how}-{i}", "taskSetDir": "/t", "outDir": "/o"}}
        for i, how in enumerate(models)
    ]
    return PackJob.model_validate({"members": members, "outcomesDir": "/p", "memberSeconds": 9})


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[tuple[str, int]], list[str]]]:
    """Runs a pack from a number on; returns its reports, and the models that were read ahead."""

    def evaluate_model(
        job: EvaluateJob, backend: ReportingBackend, progress: ProgressBoard, **_: object
    ) -> EvaluateSummary:
        assert progress.document().key == f"k{job.model_dir.rpartition('-')[2]}"
        how = job.model_dir.rpartition("-")[0][1:]
        if how == "unsound":
            return EvaluateSummary(reason=Reason.NON_FINITE_WEIGHTS)
        if how == "missing":
            return EvaluateSummary(reason=Reason.MODEL_FILES_MISSING)
        if how == "stopped":
            raise Stopped("SIGTERM")
        backend.start(Path(job.model_dir), PLAN)
        if how == "breaks":
            raise RuntimeError("what no handler expects")
        reasons = {"rejected": Reason.MODEL_LOAD_FAILED, "fails": Reason.ENGINE_FAILED}
        return EvaluateSummary(reason=reasons.get(how, Reason.EVALUATED))

    def run(*models: str, first: int = 0) -> tuple[list[tuple[str, int]], list[str]]:
        reports: list[tuple[str, int]] = []
        ahead: list[str] = []

        class Ahead:
            def begin(self, model_dirs: list[Path]) -> None:
                ahead.extend(map(str, model_dirs))

        def report(content: dict[str, Any]) -> None:
            reports.append(
                ("begin", content["begin"]) if "begin" in content else (content["summary"]["reason"], content["end"])
            )

        monkeypatch.setattr(module, "evaluate_model", evaluate_model)
        monkeypatch.setattr(module, "ReadAhead", Ahead)
        module.run(pack(*models), first, FakeBackend(), report)
        return reports, ahead

    return run


Follow = Callable[..., tuple[list[tuple[str, int]], list[str]]]


@pytest.mark.parametrize(
    ("how", "reason", "continues"),
    [
        pytest.param("good", "Evaluated", True, id="a score"),
        pytest.param("unsound", "NonFiniteWeights", True, id="a fault found before the engine"),
        pytest.param("rejected", "ModelLoadFailed", False, id="a fault that the engine found"),
        pytest.param("fails", "EngineFailed", False, id="the engine failed"),
        pytest.param("missing", "ModelFilesMissing", False, id="the machine's trouble"),
        pytest.param("breaks", "Crashed", False, id="an unexpected exception"),
    ],
)
def test_a_failure_that_may_concern_the_engine_ends_the_process(
    follow: Follow, how: str, reason: str, continues: bool
) -> None:
    reports, _ = follow(how, "good")
    rest = [("begin", 1), ("Evaluated", 1)] if continues else []
    assert reports == [("begin", 0), (reason, 0), *rest]


def test_it_continues_where_another_ended(follow: Follow) -> None:
    reports, _ = follow("fails", "good", "good", first=1)
    assert [number for what, number in reports if what == "Evaluated"] == [1, 2]


def test_the_next_models_weights_are_read_when_a_model_is_loaded(follow: Follow) -> None:
    assert follow("good", "good", "good")[1] == ["/good-1", "/good-2"]
    assert follow("unsound", "good")[1] == []


def test_its_progress_is_reported_until_it_ends() -> None:
    reports: list[dict[str, Any]] = []
    third = threading.Event()

    def report(content: dict[str, Any]) -> None:
        reports.append(content)
        if len(reports) == 3:
            third.set()

    board = ProgressBoard()
    board.start_model("k7")
    with module.reporting_progress(board, report, every=0.01):
        assert third.wait(60)
    known = len(reports)
    assert {report["progress"]["key"] for report in reports} == {"k7"}
    third.wait(0.05)
    assert len(reports) == known


def test_a_reader_that_is_gone_ends_the_reports() -> None:
    gone = threading.Event()

    def report(content: dict[str, Any]) -> None:
        gone.set()
        raise BrokenPipeError

    with module.reporting_progress(ProgressBoard(), report, every=60.0):
        assert gone.wait(60)
        for thread in [t for t in threading.enumerate() if t.name == "progress-reports"]:
            thread.join(60)
            assert not thread.is_alive()


def test_a_stop_is_reported_and_ends_it(follow: Follow) -> None:
    reports: list[dict[str, Any]] = []
    with pytest.raises(Stopped):
        follow("stopped")
    with pytest.raises(Stopped):
        module.run(pack("stopped"), 0, FakeBackend(), reports.append)
    assert reports[-1]["summary"]["reason"] == "Stopped"
