"""Network policies, and the way to the hub."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_cli.doctor.checks.network import hub, policies
from bitagent_cli.doctor.findings import Level
from bitagent_cli.doctor.seen import Probed, Read, Seen

EVALUATE = {"spec": {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "evaluate"}}}}
OTHER = {"spec": {"podSelector": {"matchLabels": {"app": "x"}}}}
ALL: dict[str, Any] = {"spec": {"podSelector": {}}}


def seen(**parts: Any) -> Seen:
    return Seen(namespace="ns", now=datetime(2026, 1, 1, tzinfo=UTC), **parts)


@pytest.mark.parametrize(
    ("read", "level"),
    [
        pytest.param(Read([EVALUATE, OTHER]), Level.OK, id="of evaluations"),
        pytest.param(Read([ALL]), Level.OK, id="of all pods"),
        pytest.param(Read([OTHER]), Level.BAD, id="of others"),
        pytest.param(Read([]), Level.BAD, id="none"),
        pytest.param(Read((), "forbidden"), Level.UNKNOWN, id="may not be read"),
    ],
)
def test_there_are_policies(read: Read[Any], level: Level) -> None:
    first, second = policies(seen(policies=read))
    assert (first.level, second.level) == (level, Level.UNKNOWN)


YES, NO, UNTRIED = Probed(True, "m"), Probed(False, "m"), Probed(None, "why")


@pytest.mark.parametrize(
    ("probe", "control", "level"),
    [
        pytest.param(NO, YES, Level.OK, id="enforced"),
        pytest.param(YES, YES, Level.BAD, id="not enforced"),
        pytest.param(NO, NO, Level.UNKNOWN, id="nothing reaches anything"),
        pytest.param(UNTRIED, YES, Level.UNKNOWN, id="not tried"),
        pytest.param(NO, UNTRIED, Level.UNKNOWN, id="no control"),
    ],
)
def test_whether_they_are_enforced(probe: Probed, control: Probed, level: Level) -> None:
    *_, found = policies(seen(policies=Read([EVALUATE]), policies_probe=probe, control_probe=control))
    assert found.level is level


@pytest.mark.parametrize(
    ("probe", "level"), [(None, Level.UNKNOWN), (YES, Level.OK), (NO, Level.BAD), (UNTRIED, Level.UNKNOWN)]
)
def test_hub(probe: Probed | None, level: Level) -> None:
    (found,) = hub(seen(hub_probe=probe, config=Read({"hub": {"endpoint": "https://mirror"}})))
    assert (found.level, "https://mirror" in found.text) == (level, True)
