"""Transcripts: bounded lines in bounded files, and never in the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.examiner import CriterionScore, ExaminerTask, ExaminerVerdict, Pool, WireMessage
from bitagent_crds.online import Online, OnlineOutcome
from bitagent_validator.online import transcripts as module
from bitagent_validator.online.sample import Sample
from bitagent_validator.online.step import MinerResult, StepPlan, StepReport, UsablePool
from bitagent_validator.online.transcripts import Transcripts, line_of, transcript
from bitagent_validator.state.scores import OnlineMean, OnlineState
from bitagent_wire.messages import QueryTask
from bitagent_wire.outcomes import Answer, Outcome, Protocol

AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def report(neuron: Callable[..., Any]) -> Callable[..., StepReport]:
    def make(response: str = "[f()]", content: str = "hello") -> StepReport:
        verdict = ExaminerVerdict(
            points=1, maximum=2, score=0.5, criteria=[CriterionScore(name="names", points=1, maximum=2)]
        )
        answer = Answer(Outcome.ANSWERED, 1.25, Protocol.AXON, QueryTask(response=response), bytes_read=99)
        results = (
            MinerResult(neuron("a", uid=3), OnlineOutcome.SCORED, answer, verdict),
            MinerResult(neuron("b", uid=4), OnlineOutcome.NOT_SERVING, message="it serves no axon"),
        )
        pool = UsablePool("pool-1", Pool(round_uid="u", digest="sha256:" + "a" * 64), 0.1)
        sample = Sample(tuple(r.neuron for r in results), {})
        plan = StepPlan("fc", 100, "s", sample, Online(), [pool])
        task = ExaminerTask(id="t", messages=[WireMessage(role="user", content=content)], tools=[])
        return StepReport(plan, results, task, pool, counts=True, block=100)

    return make


def test_a_line_has_task_answers_and_scores(report: Callable[..., StepReport]) -> None:
    means = {"a": OnlineMean(registered_at=10, mean=0.5, count=1, block=100)}
    found = json.loads(
        line_of(transcript(report(), OnlineState(block=100, means=means), at=AT, validator="val")).decode()
    )
    assert (found["at"], found["validator"], found["competition"], found["block"], found["pool"]) == (
        "2026-01-02T00:00:00+00:00",
        "val",
        "fc",
        100,
        "pool-1",
    )
    assert found["task"] == {"id": "t", "messages": [{"role": "user", "content": "hello"}], "tools": []}
    first, second = found["miners"]
    assert (first["score"], first["mean"], first["response"], first["wire"]) == (0.5, 0.5, "[f()]", "axon")
    assert first["criteria"] == [{"name": "names", "points": 1.0, "maximum": 2.0, "detail": ""}]
    assert (second["outcome"], second["score"], second["message"]) == ("NotServing", 0.0, "it serves no axon")


def test_texts_and_lines_are_bounded(report: Callable[..., StepReport], monkeypatch: pytest.MonkeyPatch) -> None:
    content = transcript(report(response="x" * 100_000, content="y" * 100_000), None, at=AT, validator="v")
    assert len(content["miners"][0]["response"]) == len(content["task"]["messages"][0]["content"]) == module.TEXT_MAX
    assert len(line_of(content)) < 10_000
    monkeypatch.setattr(module, "LINE_BYTES", 1000)
    short = json.loads(line_of(content))
    assert short["shortened"]
    assert "task" not in short
    assert "response" not in short["miners"][0]


def test_a_step_that_failed_is_a_line_too() -> None:
    failed = StepReport(None, reason=Reason.CHAIN_UNREACHABLE, message="away", block=75)
    found = transcript(failed, None, at=AT, validator="v")
    assert (found["block"], found["reason"], found["message"], found["miners"]) == (75, "ChainUnreachable", "away", [])


def written(folder: Path) -> list[int]:
    lines = [line for path in sorted(folder.glob("steps-*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["n"] for line in lines]


def test_files_are_replaced_in_turn_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for start in (0, 10, 20):
        writer = Transcripts(folder, file_bytes=60, files=3)
        for n in range(start, start + 10):
            writer.put({"n": n, "miners": [], "pad": "x" * 10})
        writer.close(seconds=30)
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert len(sizes) <= 3
    assert max(sizes) <= 60
    kept = written(folder)
    assert kept == list(range(kept[0], 30))


def test_a_folder_that_cannot_be_written_drops_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    dropped: list[None] = []
    writer = Transcripts(tmp_path / "file" / "folder", dropped=lambda: dropped.append(None))
    writer.put({"n": 1, "miners": []})
    writer.put({"n": 2, "miners": []})
    writer.close(seconds=30)
    assert len(dropped) == 2


def test_a_disk_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, dropped = threading.Event(), []
    monkeypatch.setattr(Transcripts, "_write", lambda *_: hangs.wait(60))
    writer = Transcripts(tmp_path, dropped=lambda: dropped.append(None))
    for n in range(module.QUEUE_MAX + 3):
        writer.put({"n": n, "miners": []})
    writer.close(seconds=0)
    assert len(dropped) in (2, 3), "one may be in the thread's hands"
    hangs.set()


def test_an_answer_gives_a_terminal_no_orders(report: Callable[..., StepReport]) -> None:
    hostile = "\x1b[2J\x9b2J\u202e\u2028"
    line = line_of(transcript(report(response=hostile), None, at=AT, validator="val")).decode()
    assert line.rstrip("\n").isprintable()
    assert json.loads(line)["miners"][0]["response"] == hostile
