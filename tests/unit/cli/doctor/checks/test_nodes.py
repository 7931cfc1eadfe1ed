"""GPUs, Pod Security, images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_cli.doctor.checks.nodes import gpus, images, pod_security
from bitagent_cli.doctor.findings import Level
from bitagent_cli.doctor.seen import Read, Seen


def seen(**parts: Any) -> Seen:
    return Seen(namespace="ns", now=datetime(2026, 1, 1, tzinfo=UTC), **parts)


def node(name: str, count: str = "", *, cordoned: bool = False, taint: str = "") -> dict[str, Any]:
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    allocatable = {"nvidia.com/gpu": count} if count else {}
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": cordoned, "taints": taints},
        "status": {"allocatable": allocatable},
    }


TOLERATED = {"jobs": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}


@pytest.mark.parametrize(
    ("nodes", "config", "levels"),
    [
        pytest.param([], {}, [Level.WARN], id="no node"),
        pytest.param([node("a")], {}, [Level.WARN], id="no GPU"),
        pytest.param([node("a", "2"), node("b")], {}, [Level.OK], id="some"),
        pytest.param([node("a", "2")], {"gpuResourceName": "amd.com/gpu"}, [Level.WARN], id="of another kind"),
        pytest.param([node("a", "2", cordoned=True)], {}, [Level.BAD], id="all cordoned"),
        pytest.param([node("a", "2", cordoned=True), node("b", "1")], {}, [Level.OK], id="one cordoned"),
        pytest.param([node("a", "2", taint="gpu")], {}, [Level.OK, Level.WARN], id="a taint"),
        pytest.param([node("a", "2", taint="gpu")], TOLERATED, [Level.OK], id="a tolerated taint"),
        pytest.param(
            [node("a", "2", taint="gpu")],
            {"jobs": {"evaluate": {"tolerations": [{"operator": "Exists"}]}}},
            [Level.OK],
            id="all taints tolerated",
        ),
        pytest.param(
            [node("a", "2", taint="gpu")],
            {"jobs": {"tolerations": [{"key": "gpu", "effect": "NoExecute", "operator": "Exists"}]}},
            [Level.OK, Level.WARN],
            id="another effect tolerated",
        ),
    ],
)
def test_gpus(nodes: list[Any], config: dict[str, Any], levels: list[Level]) -> None:
    assert [each.level for each in gpus(seen(nodes=Read(nodes), config=Read(config)))] == levels


def test_nodes_that_may_not_be_read() -> None:
    assert [each.level for each in gpus(seen(nodes=Read((), "forbidden")))] == [Level.UNKNOWN]


@pytest.mark.parametrize(
    ("read", "level"),
    [
        pytest.param(
            Read({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
            Level.OK,
            id="restricted",
        ),
        pytest.param(
            Read({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}),
            Level.WARN,
            id="baseline",
        ),
        pytest.param(Read({"metadata": {}}), Level.WARN, id="none"),
        pytest.param(Read(None), Level.BAD, id="no namespace"),
        pytest.param(Read(None, "forbidden"), Level.UNKNOWN, id="may not be read"),
    ],
)
def test_pod_security(read: Read[Any], level: Level) -> None:
    (found,) = pod_security(seen(space=read))
    assert found.level is level


def pod(name: str, reason: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": "no"}} if reason else {"running": {}}
    return {"metadata": {"name": name}, "status": {"containerStatuses": [{"name": "c", "state": state}]}}


def test_images() -> None:
    assert [each.level for each in images(seen(pods=Read([pod("a", "")])))] == [Level.OK]
    stuck = [pod(f"p{i}", "ImagePullBackOff") for i in range(7)]
    found = list(images(seen(pods=Read(stuck))))
    assert [each.level for each in found] == [Level.BAD] * 6
    assert found[-1].text == "2 more pods cannot pull their image"
    assert "images.pullSecrets" in found[0].do
