"""One answer out of BFCL's possible answers.

An argument's possible values are a list, in which "" says that it may be left out; the members of a dict among the values are such lists again.
"""

from __future__ import annotations

from typing import Any

LEFT_OUT = ""


def chosen(allowed: list[Any], *, keep: bool = False) -> Any:
    """The first allowed value with all dicts in it resolved. With `keep` the first that is not `LEFT_OUT`, if there is one."""
    candidates = [value for value in allowed if value != LEFT_OUT] if keep else allowed
    return _resolved((candidates or allowed or [LEFT_OUT])[0])


def _resolved(value: Any) -> Any:
    if isinstance(value, dict):
        members = {name: chosen(allowed) if isinstance(allowed, list) else allowed for name, allowed in value.items()}
        return {name: member for name, member in members.items() if member != LEFT_OUT}
    return [_resolved(item) for item in value] if isinstance(value, list) else value
