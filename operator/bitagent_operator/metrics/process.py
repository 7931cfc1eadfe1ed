"""What a process exports: the families of each namespace that it watches, with that label, and its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info, Metric, ProcessCollector
from prometheus_client.registry import Collector

LABEL = "namespace"
"""Label of the samples of a namespace."""


def add_process(registry: CollectorRegistry) -> None:
    """Add the families that concern no namespace."""
    build = Info("bitagent_operator_build", "Version of the operator.", registry=registry)
    build.info({"version": version("bitagent")})
    ProcessCollector(registry=registry)


def process_registry(namespaces: Mapping[str, CollectorRegistry]) -> CollectorRegistry:
    """Return the registry of a process, given that of each namespace."""
    registry = CollectorRegistry()
    add_process(registry)
    registry.register(ByNamespace(namespaces))
    return registry


class ByNamespace(Collector):
    """The families of the registries of namespaces, each once, with the namespace as a label of its samples."""

    def __init__(self, namespaces: Mapping[str, CollectorRegistry]) -> None:
        self._namespaces = namespaces

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        merged: dict[str, Metric] = {}
        for namespace, registry in self._namespaces.items():
            for family in registry.collect():
                new = Metric(family.name, family.documentation, family.type)
                into = merged.setdefault(family.name, new)
                into.samples += [s._replace(labels={LABEL: namespace, **s.labels}) for s in family.samples]
        yield from merged.values()
