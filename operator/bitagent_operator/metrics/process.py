"""What a process exports: the families of each namespace that it watches, with that label, and its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info, Metric, ProcessCollector
from prometheus_client.registry import Collector

LABEL = "namespace"
"""Label of the samples of a namespace."""

log = logging.getLogger(__name__)


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
    """The families of the registries of namespaces, each once, with the namespace as a label of its samples.

    An error of one namespace's costs the families that follow in its registry, and none of another namespace.
    """

    def __init__(self, namespaces: Mapping[str, CollectorRegistry]) -> None:
        self._namespaces = namespaces
        self._failing: dict[str, str] = {}
        """The errors that were logged last, by namespace."""

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        merged: dict[str, Metric] = {}
        for namespace, registry in self._namespaces.items():
            for family in self._families(namespace, registry):
                new = Metric(family.name, family.documentation, family.type)
                into = merged.setdefault(family.name, new)
                into.samples += [s._replace(labels={LABEL: namespace, **s.labels}) for s in family.samples]
        yield from merged.values()

    def _families(self, namespace: str, registry: CollectorRegistry) -> Iterator[Metric]:
        try:
            yield from registry.collect()
        except Exception as error:  # Whatever it is, it concerns one namespace.
            text = repr(error)
            if self._failing.get(namespace) != text:
                log.error("metrics of namespace %s are incomplete: %s", namespace, text, exc_info=error)
            self._failing[namespace] = text
        else:
            self._failing.pop(namespace, None)
