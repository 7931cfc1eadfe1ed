"""The safety judgement as the rest of the evaluator calls it: collect evidence through any reader, judge it in a bounded child."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.process import BoundedProcess, InputFault, Limits
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.safety.evidence import Evidence, Judgement
from bitagent_evaluator.safety.headers import LENGTH_BYTES, MAX_HEADERS_BYTES, header_bytes
from bitagent_evaluator.safety.refusal import require
from bitagent_evaluator.safety.selection import CARD, CARD_BYTES, SMALL_FILES, check_selection, weight_files

Read = Callable[[str, int, int], bytes]
"""`read(name, start, length)`: that many bytes of a file, fewer at its end."""

_WORKER = "bitagent_evaluator.safety.worker:SafetyWorker"
_LIMITS = Limits(memory_bytes=384 << 20, cpu_seconds=8.0, answer_bytes=16 << 20)
"""A sound tokenizer of 23 MB (256,000 tokens, 560,000 merges) takes 294 MB and half a second; one of empty objects would take a gigabyte."""
_FIRST_READ = 64 << 10
"""Most headers fit in the first read; a longer one takes a second."""


def collect(sizes: Mapping[str, int], read: Read) -> Evidence:
    """Read small files and weight headers. Refuses absurd headers (CorruptWeights) before they are read."""
    small = {name: read(name, 0, sizes[name]) for name in sizes if name in SMALL_FILES}
    if 0 < sizes.get(CARD, 0) <= CARD_BYTES:
        small[CARD] = read(CARD, 0, sizes[CARD])
    headers: dict[str, bytes] = {}
    for name in weight_files(sizes):
        headers[name] = _header(name, sizes[name], read)
        total = sum(map(len, headers.values()))
        require(
            total <= MAX_HEADERS_BYTES,
            Reason.CORRUPT_WEIGHTS,
            f"the weight headers have more than {MAX_HEADERS_BYTES} bytes",
        )
    return Evidence(sizes, small, headers)


def _header(name: str, size: int, read: Read) -> bytes:
    first = read(name, 0, min(size, _FIRST_READ))
    end = header_bytes(name, first[:LENGTH_BYTES], size)
    return first[:end] if end <= len(first) else first + read(name, len(first), end - len(first))


def inspect(sizes: Mapping[str, int], read: Read, *, max_bytes: int) -> Judgement:
    """The judgement of a repository. Raises bounded.ChildLost, and whatever `read` raises."""
    try:
        check_selection(sizes, max_bytes)
        evidence = collect(sizes, read)
    except Refused as error:
        return Judgement((Reason(error.reason), error.message))
    body = {"sizes": dict(sizes), "weights": list(evidence.headers)}
    try:
        with BoundedProcess(_WORKER, _LIMITS) as child:
            answer = child.call(body, {**evidence.small, **evidence.headers})
    except InputFault as error:
        return Judgement(
            (Reason.BAD_CONFIG, f"reading the configuration, tokenizer and weight headers {error.message}")
        )
    refusal = answer.pop("refusal")
    return Judgement((Reason(refusal[0]), refusal[1]) if refusal else None, **answer)


def directory_sizes(directory: Path) -> dict[str, int]:
    """Size of every regular file directly in `directory`, by name."""
    return {entry.name: entry.stat().st_size for entry in directory.iterdir() if entry.is_file()}


def directory_reader(directory: Path) -> Read:
    """A reader over a local directory."""

    def read(name: str, start: int, length: int) -> bytes:
        with (directory / name).open("rb") as file:
            file.seek(start)
            return file.read(length)

    return read
