"""API server, definitions, operator, rights, objects that stand still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitagent_cli.doctor.checks import control
from bitagent_cli.doctor.definitions import PLURALS
from bitagent_cli.doctor.findings import Level
from bitagent_cli.doctor.seen import Read, Right, Seen
from bitagent_crds.evalround import EvalRound
from bitagent_crds.schema import manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def seen(**parts: Any) -> Seen:
    return Seen(namespace="ns", now=NOW, **parts)


@pytest.mark.parametrize(
    ("version", "level"),
    [("v1.35.4", Level.OK), ("v1.29.0-eks-1", Level.OK), ("v1.28.9", Level.BAD), ("", Level.UNKNOWN)],
)
def test_server(version: str, level: Level) -> None:
    (found,) = control.server(seen(server_version=version))
    assert found.level is level


def definition(
    *, established: bool = True, without: str = "", more: str = "", version: str = "v1alpha1"
) -> dict[str, Any]:
    made = manifest(EvalRound)
    schema = made["spec"]["versions"][0]
    schema["name"] = version
    spec = schema["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec.pop(without, None)
    spec |= {more: {"type": "string"}} if more else {}
    return made | {"status": {"conditions": [{"type": "Established", "status": str(established)}]}}


@pytest.mark.parametrize(
    ("read", "level", "said"),
    [
        pytest.param(Read(definition()), Level.OK, "that of this version", id="same"),
        pytest.param(Read(definition(without="retry")), Level.WARN, "lacks spec.retry", id="older"),
        pytest.param(Read(definition(more="later")), Level.WARN, "also has spec.later", id="newer"),
        pytest.param(Read(definition(established=False)), Level.BAD, "not established", id="not established"),
        pytest.param(Read(definition(version="v2")), Level.BAD, "does not serve", id="another version"),
        pytest.param(Read(None), Level.BAD, "there is no evalrounds", id="missing"),
        pytest.param(Read(None, "forbidden"), Level.UNKNOWN, "forbidden", id="may not be read"),
    ],
)
def test_definitions(read: Read[Any], level: Level, said: str) -> None:
    (found,) = control.definitions(seen(definitions={"evalrounds": read}))
    assert (found.level, said in found.text) == (level, True), found
    assert bool(found.do) is (level in (Level.WARN, Level.BAD))


def test_kinds_that_are_not_served() -> None:
    (found,) = control.definitions(seen(served=False, definitions=dict.fromkeys(PLURALS, Read(None))))
    assert found.level is Level.BAD


def deployment(name: str = "op", ready: int = 1, expected: int = 1, rollout: str = "") -> dict[str, Any]:
    template = {"spec": {"containers": [{"image": "i"}]}}
    status = "False" if rollout == "ProgressDeadlineExceeded" else "True"
    progressing = [{"type": "Progressing", "status": status, "reason": rollout}] if rollout else []
    return {
        "metadata": {"name": name},
        "spec": {"replicas": expected, "template": template},
        "status": {"readyReplicas": ready, "conditions": progressing},
    }


def lease(age: float = 5, holder: str = "op/pod") -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


@pytest.mark.parametrize(
    ("deployments", "held", "levels"),
    [
        pytest.param([], None, [Level.BAD], id="none"),
        pytest.param([deployment()], lease(), [Level.OK, Level.OK], id="well"),
        pytest.param([deployment(ready=0)], lease(), [Level.BAD, Level.OK], id="not ready"),
        pytest.param([deployment(ready=1, expected=2)], lease(), [Level.BAD, Level.OK], id="one of two"),
        pytest.param([deployment()], lease(age=600), [Level.OK, Level.BAD], id="a Lease that nothing renews"),
        pytest.param([deployment()], None, [Level.OK, Level.BAD], id="no Lease"),
        pytest.param([], lease(holder="home/op/pod"), [Level.OK, Level.OK], id="a release of another namespace"),
        pytest.param([], lease(600, holder="home/op/pod"), [Level.OK, Level.BAD], id="one that has stopped"),
        pytest.param([deployment()], lease(holder=""), [Level.OK, Level.BAD], id="a Lease that was given back"),
        pytest.param([deployment(), deployment("b")], lease(), [Level.OK, Level.OK, Level.WARN, Level.OK], id="two"),
    ],
)
def test_operator(deployments: list[dict[str, Any]], held: dict[str, Any] | None, levels: list[Level]) -> None:
    found = control.operator(seen(deployments=Read(deployments), lease=Read(held)))
    assert [each.level for each in found] == levels


@pytest.mark.parametrize(
    ("rollout", "level"),
    [
        pytest.param("ReplicaSetUpdated", Level.WARN, id="it starts"),
        pytest.param("NewReplicaSetAvailable", Level.BAD, id="it was ready once"),
        pytest.param("ProgressDeadlineExceeded", Level.BAD, id="it does not start"),
    ],
)
def test_an_operator_that_starts_is_not_a_fault(rollout: str, level: Level) -> None:
    parts = {"deployments": Read([deployment(ready=0, rollout=rollout)]), "lease": Read(lease())}
    found = next(iter(control.operator(seen(**parts))))
    assert (found.level, "rollout status" in found.do) == (level, level is Level.WARN)


@pytest.mark.parametrize(("ready", "level"), [(1, Level.OK), (0, Level.WARN)], ids=["ready", "not ready"])
def test_the_public_page_is_not_an_operator(ready: int, level: Level) -> None:
    parts = {"deployments": Read([deployment()]), "page": Read([deployment("page", ready=ready)])}
    found = control.operator(seen(**parts, lease=Read(lease())))
    assert [each.level for each in found] == [Level.OK, level, Level.OK]


def test_what_may_not_be_read_is_unknown_and_nothing_follows_from_it() -> None:
    refused: Read[Any] = Read((), "forbidden")
    parts = {"deployments": refused, "lease": Read(None, "forbidden"), "config": Read(None, "forbidden")}
    assert [each.level for each in control.operator(seen(**parts))] == [Level.UNKNOWN] * 3
    rights = list(control.rights(seen(operator_rights=refused, own_rights=refused)))
    assert [each.level for each in rights] == [Level.UNKNOWN] * 2


def test_rights() -> None:
    operator_rights = [Right("batch", "jobs", "create", False), Right("", "pods", "get", True)]
    own = [Right("", "pods/log", "get", False), Right("", "pods", "create", True)]
    found = list(control.rights(seen(operator_rights=Read(operator_rights), own_rights=Read(own))))
    assert [(each.level, each.text) for each in found] == [
        (Level.BAD, "the operator may not create batch/jobs"),
        (Level.WARN, "you may not get pods/log, which these verbs need: logs"),
    ]


def test_objects_that_stand_still() -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "InfrastructureFaults", "message": "m"}
    rounds = [{"metadata": {"name": "r"}, "status": {"conditions": [stalled]}}, {"metadata": {"name": "s"}}]
    models = [{"metadata": {"name": "m"}, "status": {"conditions": [stalled]}}]
    found = list(control.objects(seen(objects={"evalrounds": Read(rounds), "minermodels": Read(models)})))
    assert [(each.level, each.text.split(":")[0]) for each in found] == [
        (Level.WARN, "r stands still"),
        (Level.OK, "2 evalrounds, 1 of them stand still"),
        (Level.OK, "1 minermodels, 1 of them stand still"),
    ]
