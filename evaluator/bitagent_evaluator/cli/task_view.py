"""Task sets on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_evaluator.cli.console import untrusted
from bitagent_evaluator.support.text import join_lines, shorten
from bitagent_evaluator.tasks.files import TaskSetDifference

_EXCERPT = 60


def manifest_panel(directory: Path, found: TaskSetManifest) -> Panel:
    """Return the provenance and the categories of a task set."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("digest", found.digest)
    facts.add_row("seed", untrusted(found.seed))
    for source in found.sources:
        counts = f"{source.count} tasks{_skipped(source.skipped)}"
        facts.add_row("source", untrusted(f"{source.source} ({source.version}): {counts}"))
    for alteration in found.alterations:
        counts = f"{alteration.applied} tasks{_skipped(alteration.skipped)}"
        facts.add_row("altered", untrusted(f"{alteration.name}: {counts}"))
    facts.add_row("categories", untrusted(", ".join(f"{name} {count}" for name, count in found.categories.items())))
    facts.add_row("built by", found.builder)
    return Panel(facts, title=Text(f"{directory}: {found.count} tasks"), title_align="left")


def _skipped(skipped: Mapping[str, int]) -> str:
    """Return the number of tasks left out by reason, as the end of a line."""
    return "".join(f", {reason} {count}" for reason, count in skipped.items())


def task_table(tasks: list[Task], *, total: int) -> Table:
    """Return the given tasks, one per row."""
    rows = Table(caption=f"{len(tasks)} of {total} tasks", caption_justify="left", expand=True)
    rows.add_column("task", overflow="fold", max_width=40)
    shown = ["question", "functions", "expected"]
    if any(found.alterations for found in tasks):
        shown.append("altered by")
    for name in shown:
        rows.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    for found in tasks:
        names = ", ".join(str(function.get("name")) for function in found.functions)
        cells = (_question(found), names, expected(found), _alterations(record.name for record in found.alterations))
        rows.add_row(
            untrusted(found.id), *(untrusted(shorten(join_lines(cell), _EXCERPT)) for cell in cells[: len(shown)])
        )
    return rows


def task_panel(found: Task) -> Panel:
    """Return one task in full."""
    messages = [
        Text.assemble(untrusted(f"{message['role']}: ", "bold"), untrusted(str(message["content"])))
        for message in found.messages
    ]
    parts = [
        *messages,
        Text("\nfunctions", style="bold"),
        _json(found.functions),
        Text("\nexpected", style="bold"),
        _json(found.ground_truth) if found.ground_truth is not None else untrusted(expected(found)),
    ]
    for record in found.alterations:
        parts += [untrusted(f"\naltered by {record.name}", "bold"), _json(record.parameters)]
    title = untrusted(f"{found.id} ({found.source}, {found.category}, {found.language})")
    return Panel(Group(*parts), title=title, title_align="left")


def difference_tables(found: TaskSetDifference, *, names: tuple[str, str], limit: int) -> list[Table]:
    """Return the differences of two task sets called `names`, of each kind the first `limit` tasks."""
    first, second = names
    facts = Table.grid(padding=(0, 2))
    facts.add_row("the same", str(found.same))
    facts.add_row("changed", str(len(found.changed)))
    for name, ids in ((first, found.only_first), (second, found.only_second)):
        facts.add_row(untrusted(f"only in {name}"), untrusted(f"{len(ids)}{': ' if ids else ''}{_listed(ids, limit)}"))
    if found.reordered:
        facts.add_row("order", "the tasks that both have are in another order")
    if not found.changed:
        return [facts]
    rows = Table(caption=f"{min(limit, len(found.changed))} of {len(found.changed)} changed", caption_justify="left")
    for column in ("task", "differs in", "altered in the first", "altered in the second"):
        rows.add_column(column, overflow="fold")
    for change in found.changed[:limit]:
        cells = (", ".join(change.fields), *map(_alterations, change.alterations))
        rows.add_row(untrusted(change.id), *map(untrusted, cells))
    return [facts, rows]


def expected(found: Task) -> str:
    """Return the right answer in one line, with the first of several allowed values."""
    if found.expects is Expects.NO_CALL:
        return "no call"
    if found.expects is Expects.ANY_CALL:
        return "any call"
    if found.memory is not None:
        return " or ".join(found.memory.answers)
    if found.conversation is not None:
        return "; then ".join(", ".join(turn) or "no call" for turn in found.conversation.ground_truth)
    calls = []
    for call in found.ground_truth or []:
        for name, arguments in call.items():
            shown = ", ".join(f"{key}={values[0]!r}" for key, values in arguments.items() if values and values[0] != "")
            calls.append(f"{name}({shown})")
    return ", ".join(calls)


def _alterations(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"


def _listed(ids: Sequence[str], limit: int) -> str:
    return ", ".join(ids[:limit]) + (", …" if len(ids) > limit else "")


def _question(found: Task) -> str:
    return next((str(message["content"]) for message in reversed(found.messages) if message["role"] == "user"), "")


def _json(value: object) -> Syntax:
    content = json.dumps(value, ensure_ascii=False, indent=2)
    shown = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in content)
    return Syntax(shown, "json", word_wrap=True, background_color="default")
