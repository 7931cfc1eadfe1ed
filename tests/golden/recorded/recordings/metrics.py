"""The metrics of operator and validator: names, types, labels, units, buckets.

The imports are the only ones of this module that know where things are.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.metrics.process import add_process
from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache
from bitagent_validator.metrics import Metrics as ValidatorMetrics


def observe(folder: Path) -> dict[str, Any]:
    """The families of both registries."""
    operator = Metrics()
    operator.registry.register(StateCollector(Cache(), now=lambda: datetime.now(UTC)))
    add_process(operator.registry)
    return {
        "operator": _described(operator.registry),
        "validator": _described(ValidatorMetrics().registry),
    }


def _described(registry: CollectorRegistry) -> dict[str, Any]:
    """By family: type, labels, and the samples that are there before anything happened, as they are scraped."""
    labels = {
        name: list(collector._labelnames)
        for collector, names in registry._collector_to_names.items()
        for name in names
        if hasattr(collector, "_labelnames")
    }
    scraped = generate_latest(registry).decode().splitlines()
    families = {}
    for family in registry.collect():
        lines = [line.rpartition(" ")[0] for line in scraped if line.startswith(family.name)]
        own = [line for line in lines if _belongs(line, family.name)]
        families[family.name] = {
            "type": family.type,
            "labels": labels.get(family.name, list(getattr(family, "_labelnames", ()))),
            "samples": sorted(own),
        }
    return families


def _belongs(line: str, family: str) -> bool:
    """Whether a scraped line, without its value, is a sample of this family and of none with a longer name."""
    name = line.partition("{")[0]
    return name in {family, *(f"{family}{end}" for end in ("_total", "_created", "_bucket", "_sum", "_count"))}
