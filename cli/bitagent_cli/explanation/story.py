"""The story of an object: what it is, what happened, where the time went, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bitagent_cli.explanation.pods import pod_row
from bitagent_cli.explanation.spent import Part, course, phases
from bitagent_cli.explanation.timeline import Moment, since_first, timeline
from bitagent_cli.objects.ages import age, duration
from bitagent_cli.objects.rows import condition
from bitagent_cli.output.tables import cell, colour_of
from bitagent_cli.output.terminal import Colour, Terminal
from bitagent_crds.advice import ROUND, advice_rows, advices
from bitagent_crds.printable import escape_unprintable
from bitagent_crds.status_rows import columns, condition_rows, gpu_text, model_rows, progress_rows, seconds_rows
from bitagent_kube.objects import Obj, parse_time

_BAR = 24
_MODELS = 50
"""Models of a round of which a story has a row each; of more only those that are not done well."""
_WELL = frozenset({"Succeeded", "Duplicate", "Rejected"})


@dataclass(frozen=True)
class Known:
    """What was read about an object."""

    kind: str
    """er, mm or val."""
    obj: Obj
    now: datetime
    events: Sequence[Obj] = ()
    pods: Sequence[Obj] = ()
    unread: tuple[str, ...] = ()
    """What could not be read, and why."""


def story(known: Known, terminal: Terminal, *, every: bool = False) -> Iterator[str]:
    """Yield the lines of a story."""
    obj, status = known.obj, known.obj.get("status") or {}
    yield from _head(known, terminal)
    yield from _section("what to do", columns(_advice(known)), terminal)
    if known.kind == "er":
        yield from _section("where the time went", _spent(known), terminal)
    moments = timeline(known.kind, obj, known.events, every=every)
    yield from _section("what happened", _moments(moments, terminal), terminal, printable=True)
    yield from _section("conditions", columns(condition_rows(status)), terminal)
    yield from _section("models", columns(_shown_models(status, every=every)), terminal)
    yield from _section("progress", columns(progress_rows(status)), terminal)
    if known.kind == "er" and (every or len(status.get("results") or []) <= _MODELS):
        yield from _section("seconds of each model", columns(seconds_rows(status)), terminal)
    yield from _section("pods", columns([pod_row(pod) for pod in known.pods]), terminal)
    yield from _section("not read", iter(known.unread), terminal)


def _head(known: Known, terminal: Terminal) -> Iterator[str]:
    obj, status, meta = known.obj, known.obj.get("status") or {}, known.obj["metadata"]
    ready = condition(status, "Ready")
    state = str(status.get("phase") or ("Ready" if ready.get("status") == "True" else ready.get("reason") or "Pending"))
    old = age(parse_time(meta.get("creationTimestamp")), known.now)
    yield (
        f"{cell(obj.get('kind'))} {cell(meta['name'])} in namespace {cell(meta.get('namespace'))}, {old} old: "
        + terminal.paint(cell(state), colour_of(state) or Colour.BOLD)
    )
    message = cell(ready.get("message"))
    if message:
        yield f"  {message}"
    if status.get("estimate"):
        yield f"  estimate: {cell(status['estimate'].get('text'))}"


def _advice(known: Known) -> list[list[str]]:
    """Return what to do, with the name of the round in the commands."""
    rows = [list(row) for row in advice_rows(known.obj.get("status") or {})]
    if known.kind == "er":
        rows = [[*row[:-1], row[-1].replace(ROUND, str(known.obj["metadata"]["name"]))] for row in rows]
    return rows


def _section(title: str, body: Iterator[str], terminal: Terminal, *, printable: bool = False) -> Iterator[str]:
    """Yield a title and its lines, made printable unless they are; nothing without any."""
    lines = list(body)
    if lines:
        yield ""
        yield terminal.paint(title, Colour.BOLD)
        yield from (f"  {line if printable else escape_unprintable(line)}" for line in lines)


def _shown_models(status: Obj, *, every: bool) -> list[Sequence[str]]:
    rows = model_rows(status)
    if every or len(rows) <= _MODELS:
        return rows
    others = [row for row in rows if row[1] not in _WELL]
    more = f"{len(rows) - len(others[:_MODELS])} more, with --all"
    return [*others[:_MODELS], [more, "", "", ""]]


def _spent(known: Known) -> Iterator[str]:
    status = known.obj.get("status") or {}
    parts, of_models = course(known.obj, known.now), phases(status)
    yield from _bars(parts)
    if of_models:
        yield "all evaluations together, by phase:"
        yield from _bars(of_models)
    if text := gpu_text(status):
        yield text


def _bars(parts: Sequence[Part]) -> Iterator[str]:
    """Yield a line for each part, with a bar of its share."""
    rows = [
        [each.name, duration(each.seconds), f"{100 * each.share:.0f} %", "#" * round(_BAR * each.share), each.meaning]
        for each in parts
    ]
    return columns(rows)


def _moments(moments: list[Moment], terminal: Terminal) -> Iterator[str]:
    times = since_first(moments) if moments else []
    width = max(map(len, times), default=0)
    for moment, since in zip(moments, times, strict=True):
        text = cell(f"{moment.at:%m-%d %H:%M:%S}  {since.ljust(width)}  {moment.what}")
        yield terminal.paint(text, Colour.WAITS) if moment.warning else text


def document(known: Known, *, every: bool = True) -> Obj:
    """Return the story as a document."""
    obj, status = known.obj, known.obj.get("status") or {}
    ready = condition(status, "Ready")
    spent = {"course": course(obj, known.now), "phases": phases(status)} if known.kind == "er" else {}
    return {
        "kind": obj.get("kind"),
        "name": obj["metadata"]["name"],
        "namespace": obj["metadata"].get("namespace"),
        "ready": {name: ready.get(name) for name in ("status", "reason", "message")},
        "advice": [{"reason": a.reason, "subjects": list(a.subjects), "do": a.text} for a in advices(status)],
        "spent": {
            name: [{"part": p.name, "seconds": p.seconds, "share": round(p.share, 4)} for p in parts]
            for name, parts in spent.items()
        },
        "moments": [
            {"at": f"{m.at:%Y-%m-%dT%H:%M:%SZ}", "what": m.what, "warning": m.warning}
            for m in timeline(known.kind, obj, known.events, every=every)
        ],
        "pods": [
            dict(zip(("name", "component", "node", "phase", "message"), pod_row(p), strict=True)) for p in known.pods
        ],
        "unread": list(known.unread),
    }
