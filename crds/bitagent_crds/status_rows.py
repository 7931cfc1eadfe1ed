"""What a status says, as rows for a terminal: conditions, models, progress, and where the time went. Pure.

Both `bitagent-operator explain` and `kubectl bitagent explain` show these rows. They read the object as the API server
sends it, so that a status of a later version is shown as far as it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Sequence[Any]
Status = Mapping[str, Any]

PHASES = ("waiting", "pulling", "load", "generate", "score", "idle")
"""Phases of an evaluation, in the order of time; all but the first hold a GPU."""


def condition_rows(status: Status) -> list[Row]:
    """Return type, status, reason and message of each condition."""
    return [[c.get("type"), c.get("status"), c.get("reason"), c.get("message")] for c in status.get("conditions") or []]


def model_rows(status: Status) -> list[Row]:
    """Return name, state, reason and what else is known of each model of a round."""
    return [[r.get("model"), r.get("state"), r.get("reason"), result_note(r)] for r in status.get("results") or []]


def progress_rows(status: Status) -> list[Row]:
    """Return name, phase and progress of each evaluation that runs."""
    running = [(r.get("model"), r["progress"]) for r in status.get("results") or [] if r.get("progress")]
    return [[model, progress.get("phase"), progress_text(progress)] for model, progress in running]


def seconds_rows(status: Status) -> list[Row]:
    """Return a heading, and the seconds of each phase of the evaluations that have some; nothing without any."""
    timed = [(r.get("model"), r["seconds"]) for r in status.get("results") or [] if r.get("seconds")]
    rows: list[Row] = [[model, *(seconds.get(phase, "") for phase in PHASES)] for model, seconds in timed]
    return [["model", *PHASES], *rows] if rows else []


def gpu_text(status: Status) -> str:
    """Return how much GPU time a round has held and how much of it generated; empty if that is not known."""
    gpus = status.get("gpuSeconds")
    if not gpus:
        return ""
    held, generating = gpus.get("held", 0), gpus.get("generating", 0)
    share = f" ({100 * generating / held:.0f} %)" if held else ""
    return f"GPU time held: {held} s; generating, in what has a score: {generating} s{share}"


def progress_text(progress: Mapping[str, Any]) -> str:
    """Return how far an evaluation is, in a line."""
    done, total = progress.get("done", 0), progress.get("total", 0)
    text = f"{done} of {total} tasks, {progress.get('tokensPerSecond', 0)} tokens/s"
    return f"{text}; no progress since {progress['idleSince']}" if progress.get("idleSince") else text


def result_note(result: Mapping[str, Any]) -> str:
    """Return score, rank, the model that it is a copy of, and message of one model's result."""
    score = f"score {result['score']}, rank {result.get('rank')}" if result.get("score") is not None else ""
    of = f"of {result['duplicateOf']}" if result.get("duplicateOf") else ""
    return "; ".join(text for text in (score, of, str(result.get("message") or "")) if text)


def columns(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the rows with cells of equal width in each column, the last one as long as it is."""
    cells = [[" ".join(str("" if cell is None else cell).split()) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]
    for row in cells:
        head = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*head, row[-1]]).rstrip()
