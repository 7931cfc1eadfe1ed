"""The frame around every Job: read the document, run its handler, and always leave a summary.

SIGTERM, as for a preempted or deleted pod, raises `Stopped` in the main thread, so that open resources are closed. It
counts as an infrastructure fault, and so does every exception that a handler does not expect. Its reason says whether
the work itself can be the cause: `Crashed` and `OutOfMemory`, or `InfrastructureFault` for volumes, `Stopped` for a pod
that was ended from outside.
"""

from __future__ import annotations

import importlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import cast

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import (
    ANY_JOB,
    ArchiveSummary,
    EvaluateSummary,
    FetchSummary,
    Job,
    JobKind,
    PackSummary,
    RetentionSummary,
    TaskSetSummary,
    termination_message,
)
from bitagent_evaluator.support.faults import first_error

_log = logging.getLogger(__name__)

Summary = FetchSummary | TaskSetSummary | EvaluateSummary | PackSummary | ArchiveSummary | RetentionSummary

HANDLERS: Mapping[JobKind, str] = {
    JobKind.FETCH: "bitagent_evaluator.jobs.fetch",
    JobKind.TASK_SET: "bitagent_evaluator.jobs.task_set",
    JobKind.EVALUATE: "bitagent_evaluator.jobs.evaluate",
    JobKind.PACK: "bitagent_evaluator.jobs.pack",
    JobKind.ARCHIVE: "bitagent_evaluator.jobs.archive",
    JobKind.RETENTION: "bitagent_evaluator.jobs.retention",
}
"""Module of each kind of Job, whose `handle(job)` does the work and returns the summary.

Modules are imported when they are used: a fetch must not wait for the imports of an engine.
"""
SUMMARIES: Mapping[JobKind, type[Summary]] = {
    JobKind.FETCH: FetchSummary,
    JobKind.TASK_SET: TaskSetSummary,
    JobKind.EVALUATE: EvaluateSummary,
    JobKind.PACK: PackSummary,
    JobKind.ARCHIVE: ArchiveSummary,
    JobKind.RETENTION: RetentionSummary,
}


class Stopped(BaseException):
    """The pod is being stopped. Not an Exception, so that no library's `except Exception` swallows it."""


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into Stopped while the block runs."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        raise Stopped(signal.Signals(number).name)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def read_job(document: bytes) -> Job:
    """Parse a Job document. Raises ValueError if it is not valid; the message says why."""
    try:
        return ANY_JOB.validate_json(document)
    except ValidationError as error:
        raise ValueError(f"the Job document is not valid: {first_error(error, whole='document')}") from None


def run(document: bytes) -> Summary:
    """Do what the document says and return the summary, for failures too. The exit code follows from its reason."""
    try:
        job = read_job(document)
    except ValueError as error:
        return _fault(_kind_of(document), str(error))
    kind = JobKind(job.kind)
    try:
        with stopping_on_sigterm():
            return handler(kind)(job)
    except Stopped as error:
        return _fault(kind, f"stopped by {error}", Reason.STOPPED)
    except Exception as error:  # noqa: BLE001 - the border: the summary names what happened, so that the Job is retried
        _log.exception("%s failed", kind)
        return _fault(kind, f"{type(error).__name__}: {error}", reason_of(error))


def reason_of(error: Exception) -> Reason:
    """Return the reason for an exception that no handler expects."""
    if isinstance(error, MemoryError):
        return Reason.OUT_OF_MEMORY
    # Libraries raise OSError for a file whose content they cannot use, without a number of the operating system.
    if isinstance(error, OSError) and error.errno is not None:
        return Reason.INFRASTRUCTURE_FAULT
    return Reason.CRASHED


def handler(kind: JobKind) -> Callable[[Job], Summary]:
    """Import and return the handler of a kind of Job."""
    return cast(Callable[[Job], Summary], importlib.import_module(HANDLERS[kind]).handle)


def _fault(kind: JobKind, message: str, reason: Reason = Reason.INFRASTRUCTURE_FAULT) -> Summary:
    return SUMMARIES[kind](reason=reason, message=message)


def _kind_of(document: bytes) -> JobKind:
    """Return the kind that an invalid document names, or else Fetch, whose summary has the fewest fields."""
    try:
        return JobKind(json.loads(document)["kind"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return JobKind.FETCH


def report(summary: Summary, termination_log: Path | None) -> None:
    """Write the summary to stdout and to the file from which the kubelet reads it."""
    text = termination_message(summary)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if termination_log is None:
        return
    try:
        termination_log.write_text(text)
    except OSError as error:
        _log.warning("the summary could not be written to %s: %s", termination_log, error)
