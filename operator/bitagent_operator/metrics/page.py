"""docs/metrics.md, from the registry: `python -m bitagent_operator.metrics.page .`; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache

PAGE = Path("docs") / "metrics.md"
_INTRODUCTION = """# Metrics of the operator

Written from the code by `python -m bitagent_operator.metrics.page .`; do not edit. The operator serves them on port
9090 at `/metrics`; the [runbook](runbook.md#alerts) says what to watch. Counters begin at 0 with each
process. A process that stands by shows the objects too, but has no passes and no Jobs.

| name | type | meaning |
|---|---|---|
"""


def registry() -> CollectorRegistry:
    """Return the operator's registry, as it is before anything has happened."""
    metrics = Metrics()
    metrics.registry.register(StateCollector(Cache(), now=lambda: datetime.now(UTC)))
    return metrics.registry


def render() -> str:
    """Return the page."""
    families = sorted(registry().collect(), key=lambda family: family.name)
    return _INTRODUCTION + "".join(f"| `{name}` | {kind} | {text} |\n" for name, kind, text in _rows(families))


def _rows(families: list[Metric]) -> Iterator[tuple[str, str, str]]:
    suffix = {"counter": "_total", "info": "_info"}
    for family in families:
        yield f"{family.name}{suffix.get(family.type, '')}", family.type, family.documentation


def main(argv: list[str] | None = None) -> int:
    """Write the page, or compare it; return the exit code."""
    parser = argparse.ArgumentParser(prog="metrics_page", description="Writes docs/metrics.md.")
    parser.add_argument("root", type=Path, help="the checkout")
    parser.add_argument(
        "--check", action="store_true", help="only compare; exit with 1 if the page is not as it should be"
    )
    arguments = parser.parse_args(argv)
    page = arguments.root / PAGE
    if not arguments.check:
        page.write_text(render())
        return 0
    if page.exists() and page.read_text() == render():
        return 0
    sys.stderr.write(f"{page} is not what the code says: run python -m bitagent_operator.metrics.page .\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
