"""All findings, and how bad they are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bitagent_cli.doctor.checks import control, network, nodes, storage
from bitagent_cli.doctor.findings import Finding, Level
from bitagent_cli.doctor.seen import Seen

_CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    control.server, control.definitions, control.operator, control.rights, storage.storage, nodes.gpus,
    nodes.pod_security, nodes.images, network.policies, network.hub, control.objects,
)  # fmt: skip


def findings(seen: Seen) -> list[Finding]:
    """Return what was found, area by area."""
    return [finding for check in _CHECKS for finding in check(seen)]


def worst(found: Sequence[Finding]) -> Level:
    """Return the worst level; what could not be looked at does not count."""
    levels = {each.level for each in found}
    return Level.BAD if Level.BAD in levels else Level.WARN if Level.WARN in levels else Level.OK


def with_counts(found: Sequence[Finding]) -> str:
    """Return how many findings there are of each level, in a line."""
    counts = {level: sum(each.level is level for each in found) for level in Level}
    return ", ".join(f"{count} {level.value}" for level, count in counts.items() if count)
