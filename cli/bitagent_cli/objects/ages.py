"""Ages and durations, in the words of kubectl. Pure."""

from __future__ import annotations

from datetime import datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float) -> str:
    """Return a duration with its two largest units: `45s`, `3m20s`, `2h5m`, `6d4h`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size or (parts and left):
            parts.append(f"{left // size}{unit}" if left >= size else "")
            left %= size
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def age(since: datetime | None, now: datetime) -> str:
    """Return the age of something; empty if its time is not known."""
    return "" if since is None else duration((now - since).total_seconds())


def seconds_of(text: str) -> int:
    """Return the seconds of a duration such as `90s`, `10m` or `2h30m`. Raises ValueError."""
    left, total = text, 0
    sizes = {unit: size for size, unit in _UNITS}
    while left:
        digits = left[: len(left) - len(left.lstrip("0123456789"))]
        unit = left[len(digits) : len(digits) + 1]
        if not digits or unit not in sizes:
            raise ValueError(f"{text!r} cannot be read as a duration such as 90s, 10m or 2h30m")
        total += int(digits) * sizes[unit]
        left = left[len(digits) + 1 :]
    return total
