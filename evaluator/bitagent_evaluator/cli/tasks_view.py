"""How `tasks` shows task sets to people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from bitagent_crds.results import Expects, Task, TaskSetManifest
from bitagent_evaluator.cli.output import results
from bitagent_evaluator.cli.tasks_diff import Difference
from bitagent_evaluator.escaping import escaped

_EXCERPT = 60


def manifest(directory: Path, found: TaskSetManifest) -> None:
    """Provenance and categories of a task set."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("digest", found.digest)
    facts.add_row("seed", _plain(found.seed))
    for source in found.sources:
        told = f"{source.source} ({source.version}): {source.count} tasks{_left_out(source.skipped)}"
        facts.add_row("source", _plain(told))
    for alteration in found.alterations:
        told = f"{alteration.name}: {alteration.applied} tasks{_left_out(alteration.skipped)}"
        facts.add_row("altered", _plain(told))
    facts.add_row("categories", _plain(", ".join(f"{name} {count}" for name, count in found.categories.items())))
    facts.add_row("built by", found.builder)
    results().print(Panel(facts, title=Text(f"{directory}: {found.count} tasks"), title_align="left"))


def _left_out(skipped: Mapping[str, int]) -> str:
    """What was left alone, by reason, as the end of a line."""
    return "".join(f", {reason} {count}" for reason, count in skipped.items())


def table(tasks: list[Task], *, total: int) -> None:
    """The given tasks, one a row."""
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
        rows.add_row(_plain(found.id), *(_plain(_excerpt(cell)) for cell in cells[: len(shown)]))
    results().print(rows)


def task(found: Task) -> None:
    """One task in full."""
    messages = [
        Text.assemble(_plain(f"{message['role']}: ", "bold"), _plain(str(message["content"])))
        for message in found.messages
    ]
    parts = [
        *messages,
        Text("\nfunctions", style="bold"),
        _json(found.functions),
        Text("\nexpected", style="bold"),
        _json(found.ground_truth) if found.ground_truth is not None else _plain(expected(found)),
    ]
    for record in found.alterations:
        parts += [_plain(f"\naltered by {record.name}", "bold"), _json(record.parameters)]
    title = _plain(f"{found.id} ({found.source}, {found.category}, {found.language})")
    results().print(Panel(Group(*parts), title=title, title_align="left"))


def difference(found: Difference, *, names: tuple[str, str], limit: int) -> None:
    """What two task sets, called `names`, do not have in common; of each kind the first `limit` tasks."""
    first, second = names
    facts = Table.grid(padding=(0, 2))
    facts.add_row("the same", str(found.same))
    facts.add_row("changed", str(len(found.changed)))
    for name, ids in ((first, found.only_first), (second, found.only_second)):
        facts.add_row(_plain(f"only in {name}"), _plain(f"{len(ids)}{': ' if ids else ''}{_listed(ids, limit)}"))
    if found.reordered:
        facts.add_row("order", "the tasks that both have stand in another order")
    results().print(facts)
    if not found.changed:
        return
    rows = Table(caption=f"{min(limit, len(found.changed))} of {len(found.changed)} changed", caption_justify="left")
    for column in ("task", "differs in", "altered in the first", "altered in the second"):
        rows.add_column(column, overflow="fold")
    for change in found.changed[:limit]:
        cells = (", ".join(change.fields), *map(_alterations, change.alterations))
        rows.add_row(_plain(change.id), *map(_plain, cells))
    results().print(rows)


def expected(found: Task) -> str:
    """What a right answer is, in one line; of several allowed values the first."""
    if found.expects is Expects.NO_CALL:
        return "no call"
    if found.expects is Expects.ANY_CALL:
        return "any call"
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


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def _plain(text: str, style: str = "") -> Text:
    """What a stranger wrote, as it stands: no markup, and nothing that moves the terminal's cursor or turns its text round."""
    return Text(escaped(text, keep="\n\t"), style=style)


def _json(value: object) -> Syntax:
    content = json.dumps(value, ensure_ascii=False, indent=2)
    shown = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in content)
    return Syntax(shown, "json", word_wrap=True, background_color="default")
