"""The frame around every Job: read the document, run its handler, and always leave a summary and the right exit code.

SIGTERM (a preempted or deleted pod) becomes the exception `Stopped` in the main thread, so that what is open gets closed; it is an
infrastructure fault like every exception that no handler claimed.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import ANY_JOB, EXIT_INFRASTRUCTURE, JobKind, termination_message
from bitagent_evaluator.jobs.outcome import Outcome
from bitagent_evaluator.jobs.registry import KINDS, Job

_log = logging.getLogger(__name__)


class Stopped(BaseException):
    """The pod is being stopped. No `except Exception` on the way up may swallow it."""


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
    """The document as a job. Raises ValueError with a message for people."""
    try:
        return ANY_JOB.validate_json(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise ValueError(f"the Job document is not valid: {where}: {first['msg']}") from None


def run(document: bytes) -> Outcome:
    """Do what the document says. Never raises: whatever happens becomes an outcome."""
    try:
        job = read_job(document)
    except ValueError as error:
        return _fault(_kind_of(document), str(error))
    try:
        with stopping_on_sigterm():
            return KINDS[JobKind(job.kind)].handle(job)
    except Stopped as error:
        return _fault(JobKind(job.kind), f"stopped by {error}")
    except Exception as error:  # noqa: BLE001 - the border: a summary says what happened, the exit code that it may be tried again
        _log.exception("%s failed", job.kind)
        return _fault(JobKind(job.kind), f"{type(error).__name__}: {error}")


def _fault(kind: JobKind, message: str) -> Outcome:
    return Outcome(KINDS[kind].summary(Reason.INFRASTRUCTURE_FAULT, message), EXIT_INFRASTRUCTURE)


def _kind_of(document: bytes) -> JobKind:
    """The kind that a broken document names; Fetch, whose summary has the fewest members, when it names none."""
    try:
        return JobKind(json.loads(document)["kind"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return JobKind.FETCH


def report(outcome: Outcome, termination_log: Path | None) -> None:
    """Write the summary where the kubelet reads it, and to stdout."""
    text = termination_message(outcome.summary)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if termination_log is None:
        return
    try:
        termination_log.write_text(text)
    except OSError as error:
        _log.warning("the summary could not be written to %s: %s", termination_log, error)
