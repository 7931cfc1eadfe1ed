"""docs/metrics.md, from the registries of operator, validator and leaderboard: `python scripts/metrics_page.py ROOT`.

With `--check` it only compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric

from bitagent_leaderboard.serving.metrics import Metrics as LeaderboardMetrics
from bitagent_operator.metrics.counters import Metrics as OperatorMetrics
from bitagent_operator.metrics.process import LABEL, add_process
from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache
from bitagent_validator.metrics import Metrics as ValidatorMetrics

PAGE = Path("docs") / "metrics.md"
_INTRODUCTION = """# Metrics

Written from the code by `make metrics`; do not edit. Operator, validators and the public page serve them on port 9090
at `/metrics`; [alerts.md](alerts.md) says which of them call somebody. Counters begin at 0 with each process. Those of
the default miner are in [mining.md](mining.md#the-default-miner).
"""
_OPERATOR = f"""A process that stands by shows the objects too, but has no passes and no Jobs. All but the build and
`process_*` have the label `{LABEL}` as well: that of the objects that they concern. A Prometheus that finds the pods
has a label of this name already, the namespace of the pod, and renames the other unless `honorLabels` is set, as it is
in the chart's monitors."""
_VALIDATOR = "One process for each Validator; a Prometheus that finds the pods adds their names."
_LEADERBOARD = "Where the public page runs ([leaderboard.md](leaderboard.md))."


def registries() -> dict[str, tuple[str, CollectorRegistry]]:
    """Return the registry of each part, as it is before anything has happened, with what to know about it."""
    operator = OperatorMetrics()
    operator.registry.register(StateCollector(Cache(), now=lambda: datetime.now(UTC)))
    add_process(operator.registry)
    return {
        "operator": (_OPERATOR, operator.registry),
        "validator": (_VALIDATOR, ValidatorMetrics().registry),
        "leaderboard": (_LEADERBOARD, LeaderboardMetrics().registry),
    }


def render() -> str:
    """Return the page."""
    text = _INTRODUCTION
    for part, (note, registry) in registries().items():
        text += f"\n## Of the {part}\n\n{note}\n\n| name | type | labels | meaning |\n|---|---|---|---|\n"
        for name, kind, labels, meaning in _rows(registry):
            text += f"| `{name}` | {kind} | {', '.join(labels)} | {meaning} |\n"
    return text


def families(registry: CollectorRegistry) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Yield each family, by name, with the names of its labels."""
    found: list[tuple[Metric, tuple[str, ...]]] = []
    for collector in registry._collector_to_names:  # labels are not public, and a family without series has none
        for family in collector.collect():
            declared = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", None) or ()
            shown = [label for sample in family.samples for label in sample.labels if label != "le"]
            found.append((family, tuple(dict.fromkeys([*declared, *shown]))))
    yield from sorted(found, key=lambda each: each[0].name)


def _rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    suffix = {"counter": "_total", "info": "_info"}
    for family, labels in families(registry):
        meaning = family.documentation.rstrip(".") + "."
        yield f"{family.name}{suffix.get(family.type, '')}", family.type, labels, meaning


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
    sys.stderr.write(f"{page} is not what the code says: run make metrics\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
