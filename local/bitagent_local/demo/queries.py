"""The queries of the chart's dashboards, asked from a Prometheus as Grafana does."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo.kubectl import NotInTime, wait_until
from bitagent_local.demo.stack import ROOT

DASHBOARDS = ROOT / "charts" / "bitagent-operator" / "files" / "dashboards"
PACE_SECONDS = 2.5
WINDOW_SECONDS = 60
"""What is asked of a panel that shows a course of time."""


@dataclass(frozen=True)
class Answers:
    """What a dashboard showed."""

    board: str
    panels: int
    empty: tuple[str, ...]
    """Titles of the panels with nothing to show."""


def boards() -> dict[str, Any]:
    """Return the dashboards of the chart by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Yield title and queries of every panel that has some."""
    for panel in dashboard["panels"]:
        if panel.get("targets"):
            yield panel["title"], panel["targets"]


def filled(expr: str, **values: str) -> str:
    """Return a query with Grafana's variables replaced: times by an hour, others by `values`, or what matches all."""
    plain = re.sub(r"\$__(rate_interval|interval|range)\b", "1h", expr)
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ".*"), plain)


def ask(address: str, path: str, **parameters: str) -> Any:
    """Return the result of a query. Raises ClusterError, with what Prometheus says, if it is refused."""
    query = urllib.parse.urlencode(parameters)
    try:
        with urllib.request.urlopen(f"{address}/api/v1/{path}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise ClusterError(f"Prometheus refuses {parameters.get('query', path)!r}: {error.read().decode()}") from error
    except OSError as error:
        raise ClusterError(f"Prometheus at {address} does not answer: {error}") from error


def answer(address: str, query: Mapping[str, Any], **values: str) -> Any:
    """Return the result of a panel's query; `values` are of variables. Raises ClusterError if Prometheus refuses it."""
    expr, now = filled(query["expr"], **values), time.time()
    if query.get("instant"):
        return ask(address, "query", query=expr)
    return ask(address, "query_range", query=expr, start=str(now - WINDOW_SECONDS), end=str(now), step="5")


def answers(address: str, **values: str) -> list[Answers]:
    """Ask every query of every dashboard; `values` are of variables. Raises ClusterError if Prometheus refuses one."""
    found = []
    for name, board in boards().items():
        shown = {title: any(answer(address, each, **values) for each in queries) for title, queries in panels(board)}
        found.append(Answers(name, len(shown), tuple(title for title, data in shown.items() if not data)))
    return found


def settled(address: str, pods: Collection[str], *, seconds: float = 60, **values: str) -> list[Answers]:
    """Return the answers once all pods are scraped and three times in a row the same panels have data.

    After some seconds they are returned as they are. Raises ClusterError if Prometheus refuses a query.
    """
    last: list[list[Answers]] = []

    def look() -> bool:
        up = {each["metric"].get("pod") for each in ask(address, "query", query="up == 1")}
        last.append(answers(address, **values))
        return set(pods) <= up and last[-3:] == 3 * [last[-1]]

    with contextlib.suppress(NotInTime):
        wait_until(look, seconds=seconds, what="data of all panels", pace=PACE_SECONDS)
    return last[-1]


def table(found: Iterable[Answers]) -> str:
    """Return a line for each dashboard: how many of its panels have data, and which have none."""
    lines = []
    for each in found:
        none = f"; none in: {', '.join(each.empty)}" if each.empty else ""
        lines.append(
            f"  dashboard {each.board:<8} {each.panels - len(each.empty)} of {each.panels} panels have data{none}"
        )
    return "\n".join(lines)
