"""Handler of PackJob: evaluate several models with one engine, so that a fault of one concerns no other.

The engine is in a process of its own (`pack_engine`). This one starts it, hands each model's outcome over as soon as it
is there, and when that process dies, makes no progress or has done with a model that failed, it starts another for the
next model.
What is left when this process is stopped is evaluated by a later Job, which continues with the answers that are there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.evaluation import STALL_SECONDS
from bitagent_crds.jobs import (
    STALL_SECONDS_KEY,
    EvaluateSummary,
    PackJob,
    PackSummary,
    document,
    exit_code,
    outcome_message,
)
from bitagent_crds.progress import ProgressDocument
from bitagent_evaluator.jobs.pack_outcomes import Outcome, OutcomeWriter
from bitagent_evaluator.jobs.runner import Stopped
from bitagent_evaluator.support.processes import kill_session

ENGINE = (sys.executable, "-m", "bitagent_evaluator.cli.pack_engine")
"""Command of the engine's process, without its options."""
STOP_SECONDS = 15
"""Time that the engine's process has to end in order when the pod is stopped: half of the pod's."""
BETWEEN_SECONDS = 60.0
"""Time from the end of one model in which a process begins with the next one, or ends."""
UNSEEN_SECONDS = 20.0
"""Time beyond the bound of a stall in which progress before its end is reported: twice that between two reports."""
_TAIL_SECONDS = 1.0
"""Time for the end of its log, which something else may hold open."""
_LOG_LINES = 8
_LOG_LENGTH = 400

_log = logging.getLogger(__name__)


def handle(job: PackJob, *, engine: Sequence[str] = ENGINE) -> PackSummary:
    """Evaluate all models; the summary says how many have a verdict."""
    stall_seconds = float(os.environ.get(STALL_SECONDS_KEY) or STALL_SECONDS)
    with OutcomeWriter(Path(job.outcomes_dir), [member.key for member in job.members]) as outcomes:
        pack = _Pack(job, outcomes, engine, stall_seconds)
        while pack.next < len(job.members):
            pack.run_engine()
    done, text = pack.verdicts, f"{pack.verdicts} of {len(job.members)} models have a verdict"
    complete = done == len(job.members)
    return PackSummary(reason=Reason.EVALUATED if complete else Reason.INFRASTRUCTURE_FAULT, message=text)


@dataclass(frozen=True)
class _Progress:
    """What the engine's process has reported last of its progress; times by the monotonic clock."""

    document: ProgressDocument
    read_at: float
    advanced_at: float
    """The last time at which there was progress."""


@dataclass
class _Pack:
    """The state of a pack."""

    job: PackJob
    outcomes: OutcomeWriter
    engine: Sequence[str]
    stall_seconds: float
    next: int = 0
    """Number of the first model that has no outcome."""
    verdicts: int = 0
    """Models with a verdict: a score, or a fault of their own."""
    _current: int | None = None
    """The model whose turn it is."""
    _until: float = 0.0
    """End of its time, or of the time in which the next one must begin."""
    _progress: _Progress | None = None
    """The last progress of the present process; None before it has reported any: it may take long to start."""

    def run_engine(self) -> None:
        """Run one process, from the next model on, until it has ended; the model whose turn it was has an outcome."""
        kills, self._progress = oom_kills(), None
        with _Engine.start(self.engine, self.job, first=self.next) as engine:
            self._begin(self.next)  # A process that cannot start is the trouble of its first model.
            try:
                self._follow(engine)
            except Stopped:
                engine.stop()
                with contextlib.suppress(ValueError):
                    self._take(engine.lines())
                if self._current is not None:
                    self._end(EvaluateSummary(reason=Reason.STOPPED, message="stopped by SIGTERM"))
                raise
            if self._current is not None:
                self._end(_death(engine.end(), engine.tail, out_of_memory=oom_kills() > kills))

    def _follow(self, engine: _Engine) -> None:
        """Take the reports until the process ends, or until a model's time is over or it has stalled."""
        more = True
        while more:
            more = engine.wait(max(0.0, min(self._until, self._stalls_at()) - time.monotonic()))
            try:
                self._take(engine.lines())
            except ValueError as error:  # also a report that does not conform: whose the next one is, is unknown
                engine.kill()
                text = f"the engine's process has reported what cannot be read: {str(error)[:_LOG_LENGTH]}"
                self._end(EvaluateSummary(reason=Reason.CRASHED, message=text))
                return
            now = time.monotonic()
            if more and now >= min(self._until, self._stalls_at()):
                engine.kill()
                self._end(self._late() if now >= self._until else self._stall(now))
                return

    def _stalls_at(self) -> float:
        """Return when the model whose turn it is counts as stalled, unless there is progress before."""
        if self._progress is None or self._current is None:
            return math.inf
        return self._progress.advanced_at + self.stall_seconds + UNSEEN_SECONDS

    def _late(self) -> EvaluateSummary:
        text = f"the evaluation has not ended within {self.job.member_seconds} s"
        return EvaluateSummary(reason=Reason.DEADLINE_EXCEEDED, message=text)

    def _stall(self, now: float) -> EvaluateSummary:
        assert self._progress is not None
        document, silent = self._progress.document, now - self._progress.read_at > UNSEEN_SECONDS
        where = f" in phase {document.phase}" if document.phase is not None else ""
        how = "and its process reports nothing any more" if silent else "though its process reports"
        text = (
            f"no progress for {now - self._progress.advanced_at:.0f} s{where}, after {document.done} of "
            f"{document.total} tasks, {how} (workload.stallSeconds: {self.stall_seconds:.0f})"
        )
        return EvaluateSummary(reason=Reason.ENGINE_STALLED, message=text)

    def _take(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            content: dict[str, Any] = json.loads(line)
            if "begin" in content:
                self._begin(content["begin"])
            elif "progress" in content:
                self._advance(ProgressDocument.model_validate(content["progress"]))
            else:
                self._end(EvaluateSummary.model_validate(content["summary"]))

    def _advance(self, document: ProgressDocument) -> None:
        now, before = time.monotonic(), self._progress
        advanced = now - document.idle_seconds
        # A report that was on its way for long does not make the last advance an earlier one.
        self._progress = _Progress(document, now, max(advanced, before.advanced_at) if before else advanced)

    def _begin(self, number: int) -> None:
        if number != self._current:
            now = time.monotonic()
            self._current, self._until = number, now + self.job.member_seconds
            if self._progress is not None:
                self._progress = replace(self._progress, advanced_at=now)
            self.outcomes.begin(self.job.members[number].key)

    def _end(self, summary: EvaluateSummary) -> None:
        """Hand over the outcome of the model whose turn it is."""
        if self._current is None:
            return
        member, self._current = self.job.members[self._current], None
        self._until = time.monotonic() + BETWEEN_SECONDS
        self.next += 1
        text = outcome_message(summary, self.job.message_bytes)
        if text is None:
            summary = EvaluateSummary(reason=Reason.INFRASTRUCTURE_FAULT, message="its summary is too long for a pack")
            text = outcome_message(summary, self.job.message_bytes) or ""
        self.verdicts += summary.reason.fault is not Fault.INFRASTRUCTURE
        _log.info("%s of %s: %s", summary.reason, member.job.run.repo, summary.message)
        self.outcomes.end(member.key, Outcome(exit_code(summary.reason), text))


def _death(code: int, tail: str, *, out_of_memory: bool) -> EvaluateSummary:
    """Return the outcome of a model whose process ended without one."""
    if code == -signal.SIGKILL and out_of_memory:
        text = "killed: out of memory; raise the memory that the pod requests"
        return EvaluateSummary(reason=Reason.OUT_OF_MEMORY, message=text)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    text = f"the engine's process ended with {how}" + (f"; the end of its log: {tail}" if tail else "")
    return EvaluateSummary(reason=Reason.CRASHED, message=text)


def oom_kills(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processes of this container were killed for lack of memory, as far as the kernel says so."""
    for file in (root / "memory.events", root / "memory" / "memory.oom_control"):
        try:
            fields = [line.split() for line in file.read_text().splitlines()]
        except OSError:
            continue
        return sum(int(value) for name, value in (f for f in fields if len(f) == 2) if name == "oom_kill")
    return 0


@dataclass
class _Engine:
    """The engine's process. A context manager, after which it and its children have ended."""

    process: subprocess.Popen[bytes]
    reports: int
    """The pipe of its reports."""
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _rest: bytes = b""
    _lines: list[bytes] = field(default_factory=list)
    _log: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))

    @classmethod
    def start(cls, command: Sequence[str], job: PackJob, *, first: int) -> _Engine:
        """Start it, in a session of its own."""
        reports, write = os.pipe()
        try:
            process = subprocess.Popen(
                [*command, f"--first={first}", f"--reports={write}"],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(write,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reports)
            raise
        finally:
            os.close(write)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # It has ended at once: its exit code says how.
            process.stdin.write(document(job).encode())
            process.stdin.close()
        return cls(process, reports)

    def __enter__(self) -> _Engine:
        assert self.process.stderr is not None
        self._selector.register(self.reports, selectors.EVENT_READ)
        self._selector.register(self.process.stderr, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._selector.close()
        os.close(self.reports)
        if self.process.stderr is not None:
            self.process.stderr.close()

    @property
    def tail(self) -> str:
        """The end of its log."""
        return " ".join(" ".join(self._log).split())[-_LOG_LENGTH:]

    def wait(self, seconds: float | None) -> bool:
        """Wait for reports, for so long; whether there may be more of them."""
        for key, _ in self._selector.select(seconds):
            read = os.read(key.fd, 1 << 16)
            if not read:
                self._selector.unregister(key.fileobj)
            elif key.fd == self.reports:
                *whole, self._rest = (self._rest + read).split(b"\n")
                self._lines += whole
            else:
                sys.stderr.buffer.write(read)
                sys.stderr.buffer.flush()
                self._log.extend(read.decode(errors="replace").splitlines())
        return self.reports in self._selector.get_map()

    def lines(self) -> list[bytes]:
        """Return the reports since the last call."""
        found, self._lines = self._lines, []
        return found

    def end(self) -> int:
        """Return the exit code of the process, whose reports have ended; negative for a signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.kill()
        until = time.monotonic() + _TAIL_SECONDS
        while self._selector.get_map() and time.monotonic() < until:
            self.wait(_TAIL_SECONDS)
        return self.process.returncode

    def stop(self) -> None:
        """Let it end in order, as far as it does so in time; read its last reports."""
        self.process.terminate()
        until = time.monotonic() + STOP_SECONDS
        while (left := until - time.monotonic()) > 0 and self.wait(left):
            pass
        self.kill()

    def kill(self) -> None:
        """End it and its children, also those with a process group of their own; nothing if they have ended."""
        kill_session(self.process.pid)
        self.process.wait()
