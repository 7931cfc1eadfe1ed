"""How `tasks` shows task sets to people."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from bitagent_crds.results import Expects, Task, TaskSetManifest
from bitagent_evaluator.cli.output import results

_EXCERPT = 60


def manifest(directory: Path, found: TaskSetManifest) -> None:
    """Provenance and categories of a task set."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("digest", found.digest)
    facts.add_row("seed", found.seed)
    for source in found.sources:
        facts.add_row("source", f"{source.source} ({source.version}): {source.count} tasks")
    facts.add_row("categories", ", ".join(f"{name} {count}" for name, count in found.categories.items()))
    facts.add_row("built by", found.builder)
    results().print(Panel(facts, title=Text(f"{directory}: {found.count} tasks"), title_align="left"))


def table(tasks: list[Task], *, total: int) -> None:
    """The given tasks, one a row."""
    rows = Table(caption=f"{len(tasks)} of {total} tasks", caption_justify="left", expand=True)
    rows.add_column("task", overflow="fold", max_width=40)
    for name in ("question", "functions", "expected"):
        rows.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    for found in tasks:
        names = ", ".join(str(function.get("name")) for function in found.functions)
        cells = (_question(found), names, expected(found))
        rows.add_row(Text(found.id), *(Text(_excerpt(cell)) for cell in cells))
    results().print(rows)


def task(found: Task) -> None:
    """One task in full."""
    messages = [Text.assemble((f"{message['role']}: ", "bold"), str(message["content"])) for message in found.messages]
    parts = [
        *messages,
        Text("\nfunctions", style="bold"),
        _json(found.functions),
        Text("\nexpected", style="bold"),
        _json(found.ground_truth) if found.ground_truth is not None else Text(expected(found)),
    ]
    title = Text(f"{found.id} ({found.source}, {found.category}, {found.language})")
    results().print(Panel(Group(*parts), title=title, title_align="left"))


def expected(found: Task) -> str:
    """What a right answer is, in one line; of several allowed values the first."""
    if found.expects is Expects.NO_CALL:
        return "no call"
    if found.expects is Expects.ANY_CALL:
        return "any call"
    calls = []
    for call in found.ground_truth or []:
        for name, arguments in call.items():
            shown = ", ".join(f"{key}={values[0]!r}" for key, values in arguments.items() if values and values[0] != "")
            calls.append(f"{name}({shown})")
    return ", ".join(calls)


def _question(found: Task) -> str:
    return next((str(message["content"]) for message in reversed(found.messages) if message["role"] == "user"), "")


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def _json(value: object) -> Syntax:
    return Syntax(json.dumps(value, ensure_ascii=False, indent=2), "json", word_wrap=True, background_color="default")
