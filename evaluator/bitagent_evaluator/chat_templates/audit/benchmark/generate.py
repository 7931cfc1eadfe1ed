"""Generate `names.bin` and `values.bin` from the installed bfcl-eval package.

Run as `python -m bitagent_evaluator.chat_templates.audit.benchmark.generate`.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from bitagent_evaluator.chat_templates.audit.benchmark.literals import digest, is_distinctive_name, is_distinctive_value

_QUESTIONS = "BFCL_v4_"
_WITHOUT_TASKS = "BFCL_v4_format_sensitivity.json"


def build_files() -> dict[str, bytes]:
    """Return the contents of both files by name; the same bytes for the same package."""
    data = importlib.resources.files("bfcl_eval") / "data"
    names = filter(is_distinctive_name, _names(data))
    values = filter(is_distinctive_value, _values(data))
    return {"names.bin": _pack(names), "values.bin": _pack(values)}


def _pack(literals: Iterator[str]) -> bytes:
    return b"".join(sorted({digest(literal) for literal in literals}))


def _names(data: Traversable) -> Iterator[str]:
    for file in data.iterdir():
        if file.name.startswith(_QUESTIONS) and file.name != _WITHOUT_TASKS:
            for entry in _entries(file):
                yield from (function["name"] for function in entry.get("function", []))
    for file in (data / "multi_turn_func_doc").iterdir():
        yield from (function["name"] for function in _entries(file))


def _values(data: Traversable) -> Iterator[str]:
    for file in (data / "possible_answer").iterdir():
        for entry in _entries(file):
            yield from _strings(entry["ground_truth"])


def _entries(file: Traversable) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _strings(member)


def main() -> None:
    """Write both files beside this module."""
    for name, content in build_files().items():
        Path(__file__).with_name(name).write_bytes(content)


if __name__ == "__main__":
    main()
