"""Verdicts on miners' answers: each scorer in a sandbox of its own, which is replaced when an answer has broken it.

A verdict has no value of the right answer: checkers explain themselves by expected values, so their words are replaced
by what the name of the error says.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from bitagent_crds.evaluation import BuiltinScorer, ScorerName
from bitagent_crds.examiner import CriterionScore, ExaminerReason, ExaminerVerdict, Timing
from bitagent_crds.plugins import BrokenPlugin, UnknownName
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.examiner.pools import RequestRefused
from bitagent_evaluator.examiner.questions import expected_shape
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts.chat_formats import ChatTemplate
from bitagent_evaluator.reports.error_words import explain
from bitagent_evaluator.sandbox.process import FaultKind, InputFault, ResidentSandbox, SandboxUnavailable
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.scoring.bitagent.criteria import Criterion, MinerResponse, Points, does_not_error, speed
from bitagent_evaluator.scoring.sandboxed import LIMITS as SCORER_LIMITS
from bitagent_evaluator.scoring.scorers import check_scorer

SCORER_WORKER = "bitagent_evaluator.scoring.worker:ScorerWorker"
LIMITS = Limits(
    memory_bytes=SCORER_LIMITS.memory_bytes,
    cpu_seconds=5.0,
    answer_bytes=1 << 20,
    wall_factor=4.0,
    start_seconds=30.0,
    processes=True,
)
"""A scorer takes 45 MB, and an honest answer milliseconds. The times leave room for one repetition in `REPLY_SECONDS`.
Processes are allowed, because scorers compare Java in sandboxes of their own; these set their own limits, which this
one must not be below."""
TURN_SECONDS = 15.0
"""Time for which an answer waits for those before it."""
ONLINE_SYNTAXES = (*ChatTemplate.syntaxes, AnswerSyntax.FUNCTION_PARAMS, AnswerSyntax.REWOO)
"""Every syntax that is read: miners are not asked for a certain one. Marked forms come first."""
_TIMED = frozenset({BuiltinScorer.BITAGENT_2024_11, BuiltinScorer.BITAGENT_2025_04})
_TOO_COSTLY = frozenset({FaultKind.TIME, FaultKind.MEMORY, FaultKind.ANSWER})
_BROKEN, _LOST = BrokenPlugin.__name__, SandboxUnavailable.__name__
"""Exceptions of a worker, whose names begin its words, for which the answer is not the cause."""
_log = logging.getLogger(__name__)


class Scorers:
    """One sandbox for each scorer that is in use. A context manager; for several threads."""

    def __init__(self, *, worker: str = SCORER_WORKER, limits: Limits = LIMITS) -> None:
        self._worker, self._limits = worker, limits
        self._rooms: dict[str, _Room] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for room in self._rooms.values():
            room.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the sandboxes that run."""
        return [pid for room in list(self._rooms.values()) if (pid := room.pid) is not None]

    def verdict(self, scorer: ScorerName, task: Task, answer: str, timing: Timing | None = None) -> ExaminerVerdict:
        """Return the verdict on an answer. Raises RequestRefused."""
        verdict = self._room(scorer).score(task, answer)
        return _shown(verdict, scorer, expected_shape(task), timing)

    def _room(self, scorer: ScorerName) -> _Room:
        if scorer == BuiltinScorer.LOSS:
            text = "scorer Loss measures a model's probabilities, which an answer does not have"
            raise RequestRefused(ExaminerReason.SCORER_REFUSED, text)
        try:
            check_scorer(scorer)
        except UnknownName as error:
            raise RequestRefused(ExaminerReason.SCORER_REFUSED, str(error)) from None
        with self._lock:
            if scorer not in self._rooms:
                self._rooms[scorer] = _Room(scorer, self._worker, self._limits)
            return self._rooms[scorer]


class _Room:
    """The sandbox of one scorer, for one answer at a time."""

    def __init__(self, scorer: ScorerName, worker: str, limits: Limits) -> None:
        self._scorer = scorer
        self._sandbox = ResidentSandbox(worker, limits, arguments=[scorer, *ONLINE_SYNTAXES])
        self._turn = threading.Lock()

    @property
    def pid(self) -> int | None:
        return self._sandbox.pid

    def close(self) -> None:
        self._sandbox.close()

    def score(self, task: Task, answer: str) -> Verdict:
        """Return the scorer's verdict. Raises RequestRefused."""
        if not self._turn.acquire(timeout=TURN_SECONDS):
            text = f"scorer {self._scorer} has worked on other answers for {TURN_SECONDS:g} s"
            raise RequestRefused(ExaminerReason.BUSY, text)
        try:
            return self._score(task, answer)
        except InputFault as fault:
            # The scorer is a generator: after an exception it gives no further verdict.
            self._sandbox.close()
            raise self._refused(fault) from None
        except SandboxUnavailable as error:
            _log.warning("scorer %s: %s", self._scorer, error)
            if _BROKEN in str(error):
                raise RequestRefused(ExaminerReason.SCORER_REFUSED, str(error)[:1000]) from None
            text = f"the process of scorer {self._scorer} was lost: {error}"
            raise RequestRefused(ExaminerReason.SCORER_LOST, text[:1000]) from None
        finally:
            self._turn.release()

    def _score(self, task: Task, answer: str) -> Verdict:
        response = Response(id=task.id, text=answer, finish_reason="stop", prompt_tokens=0, completion_tokens=0)
        blobs = {"tasks": task.model_dump_json().encode(), "responses": response.model_dump_json().encode()}
        found = self._sandbox.call({}, blobs)["verdicts"]
        return Verdict.model_validate(found[0])

    def _refused(self, fault: InputFault) -> RequestRefused:
        if fault.kind in _TOO_COSTLY:
            return RequestRefused(ExaminerReason.ANSWER_TOO_COSTLY, f"the answer {fault.message}")
        _log.error("scorer %s: %s", self._scorer, fault.message)
        if fault.message.startswith(_BROKEN):
            return RequestRefused(ExaminerReason.SCORER_REFUSED, fault.message[:1000])
        if fault.message.startswith(_LOST):
            return RequestRefused(ExaminerReason.SCORER_LOST, f"a process of scorer {self._scorer} was lost")
        text = f"scorer {self._scorer} failed on the answer: {fault.message.partition(':')[0]}"
        return RequestRefused(ExaminerReason.ANSWER_BREAKS_SCORER, text)


def _shown(verdict: Verdict, scorer: ScorerName, shape: str, timing: Timing | None) -> ExaminerVerdict:
    """Return a scorer's verdict as a miner may see it."""
    if not verdict.criteria:
        one = CriterionScore(name=scorer, points=verdict.score, maximum=1.0, detail=explain(verdict.error))
        return ExaminerVerdict(
            points=verdict.score, maximum=1.0, score=verdict.score, criteria=[one], expected_shape=shape
        )
    points = {name: _pair(pair) for name, pair in verdict.criteria.items()}
    possible = sum(most for _, most in points.values())
    score = verdict.score
    if timing is not None and scorer in _TIMED:
        timed = _timing(timing)
        given, most = (sum(pair[i] for pair in timed.values()) for i in (0, 1))
        score = (score * possible + given) / (possible + most)
        points = timed | points
    return ExaminerVerdict(
        points=sum(given for given, _ in points.values()),
        maximum=sum(most for _, most in points.values()),
        score=min(1.0, max(0.0, score)),
        criteria=[
            CriterionScore(
                name=name,
                points=given,
                maximum=most,
                detail="" if verdict.passed or given >= most else explain(f"bitagent:{name}"),
            )
            for name, (given, most) in points.items()
        ],
        expected_shape=shape,
    )


def _pair(pair: tuple[float, float]) -> Points:
    return (float(pair[0]), float(pair[1]))


def _timing(timing: Timing) -> dict[str, Points]:
    """Return the subnet's criteria about the transport of an answer that has arrived."""
    answer = MinerResponse(response="", timeout=timing.timeout_seconds, process_time=timing.seconds)
    return {Criterion.DOES_NOT_ERROR.value: does_not_error(answer), Criterion.SPEED.value: speed(answer)}


def reap_adopted(known: list[int]) -> int:
    """Reap the ended children of this process that are not `known`, and return their number.

    A scorer that was killed leaves sandboxes of its own to the first process of the container. Without this each would
    take one of the pod's process ids for ever.
    """
    reaped = 0
    for pid in _children():
        if pid in known:
            continue
        try:
            reaped += os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
        except ChildProcessError:
            continue
    return reaped


def _children() -> Iterator[int]:
    for file in Path("/proc/self/task").glob("*/children"):
        try:
            yield from map(int, file.read_text().split())
        except OSError:
            continue
