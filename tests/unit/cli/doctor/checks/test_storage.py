"""Claims and storage classes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bitagent_cli.doctor.checks.storage import ONE_NODE, storage
from bitagent_cli.doctor.findings import Level
from bitagent_cli.doctor.seen import Read, Seen

ROOT = Path(__file__).parents[5]
CONFIG = {"artifacts": {"claimName": "files"}}


def storage_class(name: str, provisioner: str = "nfs", *, default: bool = False, late: bool = False) -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    meta = {"name": name, "annotations": annotations}
    return {
        "metadata": meta,
        "provisioner": provisioner,
        "volumeBindingMode": "WaitForFirstConsumer" if late else "Immediate",
    }


def claim(phase: str = "Bound", modes: tuple[str, ...] = ("ReadWriteMany",), of: str = "nfs") -> dict[str, Any]:
    spec = {"accessModes": list(modes)} | ({"storageClassName": of} if of else {})
    return {"metadata": {"name": "files"}, "spec": spec, "status": {"phase": phase}}


NFS, DISK = storage_class("nfs"), storage_class("disk", "ebs.csi.aws.com", default=True)


@pytest.mark.parametrize(
    ("claims", "classes", "nodes", "level", "said"),
    [
        pytest.param([claim()], [NFS], 2, Level.OK, "ReadWriteMany", id="for all nodes"),
        pytest.param([], [NFS], 2, Level.BAD, "does not exist", id="no claim"),
        pytest.param([claim("Pending", of="")], [NFS], 2, Level.BAD, "no default StorageClass", id="no class"),
        pytest.param([claim("Pending", of="nsf")], [NFS], 2, Level.BAD, "nsf does not exist", id="misspelt"),
        pytest.param([claim("Pending", of="nfs")], [NFS], 2, Level.BAD, "Pending", id="not bound"),
        pytest.param([claim("Lost")], [NFS], 2, Level.BAD, "Lost", id="lost"),
        pytest.param(
            [claim("Pending", of="l")], [storage_class("l", late=True)], 2, Level.OK, "first pod", id="bound with a pod"
        ),
        pytest.param([claim(modes=("ReadWriteOnce",))], [NFS], 2, Level.WARN, "one node at a time", id="for one node"),
        pytest.param([claim(modes=("ReadWriteOnce",))], [NFS], 1, Level.OK, "one node", id="and there is one"),
        pytest.param(
            [claim(of="disk")], [DISK], 2, Level.WARN, "ebs.csi.aws.com attaches", id="a claim that cannot hold"
        ),
    ],
)
def test_claims(claims: list[Any], classes: list[Any], nodes: int, level: Level, said: str) -> None:
    seen = Seen(
        namespace="ns",
        now=datetime(2026, 1, 1, tzinfo=UTC),
        config=Read(CONFIG),
        claims=Read(claims),
        classes=Read(classes),
        nodes=Read([{}] * nodes),
    )
    (found,) = storage(seen)
    assert (found.level, said in found.text) == (level, True), found


def test_volumes_of_models_have_claims_of_their_own() -> None:
    config = {"cache": {"mode": "VolumePerModel", "claimName": "old"}, **CONFIG}
    seen = Seen(namespace="ns", now=datetime(2026, 1, 1, tzinfo=UTC), config=Read(config), claims=Read([]))
    assert [each.text for each in storage(seen)] == ["the claim of the artifacts, files, does not exist"]


def test_without_an_operator_the_default_class_is_named() -> None:
    def level(classes: list[Any]) -> Level:
        seen = Seen(namespace="ns", now=datetime(2026, 1, 1, tzinfo=UTC), classes=Read(classes))
        (found,) = storage(seen)
        return found.level

    assert (level([DISK]), level([NFS])) == (Level.OK, Level.WARN)


def test_the_chart_names_the_same_provisioners() -> None:
    text = (ROOT / "charts/bitagent-operator/templates/_notes.tpl").read_text()
    listed = text[: text.index("{{- end }}")]
    assert set(re.findall(r"^- (\S+)$", listed, re.MULTILINE)) == ONE_NODE
