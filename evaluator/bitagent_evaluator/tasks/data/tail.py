"""The last lines of a file that keeps growing.

They are fetched by ranges from the end where the server knows ranges, so that a round costs the same however old the stream is; else the whole
file passes by and the last lines are kept. A last line without its end is one that is being written: it is left for the next round.
"""

from __future__ import annotations

from collections import deque

from bitagent_evaluator.tasks.data.lines import lines_of, object_of
from bitagent_evaluator.tasks.data.web import WebFile
from bitagent_evaluator.tasks.errors import TaskSetError

FIRST_BYTES = 1 << 18
MAX_BYTES = 1 << 28
"""Most bytes that are kept for one stream."""


def newest_lines(file: WebFile, count: int) -> list[bytes]:
    """Up to `count` lines that are not blank, the newest first. Raises TaskSetError and InfrastructureFault."""
    end = file.end(FIRST_BYTES)
    if end is None:
        return _passing_by(file, count)
    content, start = end.content, end.start
    while start > 0 and _lines_in(content) <= count + 1:  # one may be cut at the front, one at the back
        if len(content) > MAX_BYTES:
            raise _too_much(file, count)
        earlier = max(0, start - len(content))
        content, start = file.part(earlier, start) + content, earlier
    lines = content.split(b"\n")
    found = [line for line in (lines[1:] if start > 0 else lines) if line.strip()]
    if found and not _is_whole(lines[-1]):
        found.pop()
    return found[::-1][:count]


def _lines_in(content: bytes) -> int:
    return sum(1 for line in content.split(b"\n") if line.strip())


def _is_whole(last: bytes) -> bool:
    """Whether what follows the last end of a line is nothing, or a sample all the same."""
    if not last.strip():
        return True
    try:
        object_of(last)
    except ValueError:
        return False
    return True


def _passing_by(file: WebFile, count: int) -> list[bytes]:
    kept: deque[bytes] = deque()
    held = 0
    try:
        for _, line in lines_of(file.stream()):
            kept.append(line)
            held += len(line)
            if len(kept) > count + 1:  # one more, in case that the last turns out to be cut
                held -= len(kept.popleft())
            if held > MAX_BYTES:
                raise _too_much(file, count)
    except ValueError as error:
        raise TaskSetError(f"{file.what}, {error}") from error
    if kept and not _is_whole(kept[-1]):
        kept.pop()
    return list(kept)[::-1][:count]


def _too_much(file: WebFile, count: int) -> TaskSetError:
    return TaskSetError(f"the newest {count} lines of {file.what} are more than {MAX_BYTES} bytes: lower newest")
