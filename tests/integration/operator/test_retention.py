"""Files of finished rounds on a real API server: removed by age once archived, and to make room for newer ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bitagent_crds.jobs import ArchiveSummary, RetentionSummary, termination_message

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, Script, World

DIGEST = "sha256:" + "d" * 64
Obj = dict[str, Any]


def configure(world: World, **sections: Obj) -> None:
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


def script(outcomes: Outcomes, documents: list[Obj], free: Callable[[Obj], int]) -> Script:
    """Everything works; `free` is what a retention Job measures."""

    def end(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] not in ("Archive", "Retention"):
            return outcomes.usual(pod, document)
        documents.append(document)
        made: ArchiveSummary | RetentionSummary
        if document["kind"] == "Archive":
            made = ArchiveSummary.model_validate({"reason": "Archived", "digest": DIGEST})
        else:
            reason = "FilesRemoved" if document["remove"] else "FilesKept"
            made = RetentionSummary.model_validate({"reason": reason, "freeBytes": free(document)})
        return outcomes.crashed(0, termination_message(made))

    return end


def test_files_go_by_age_once_they_are_archived(world: World, outcomes: Outcomes) -> None:
    documents: list[Obj] = []
    configure(world, archive={"url": "s3://bucket/x", "secretName": "s3"}, retention={"ttlSeconds": 0})
    world.kubelet.script = script(outcomes, documents, lambda document: 500)
    world.model("m-500")
    made = world.round("r")
    world.start_operator()
    found = world.until_condition("evalrounds", "r", "FilesKept", "False")
    assert world.condition("evalrounds", "r", "FilesKept")["reason"] == "FilesRemoved"
    assert found["status"]["files"]["freeBytes"] == 500
    assert found["status"]["archive"]["digest"] == DIGEST
    steps = [(d["kind"], d.get("remove"), d.get("archive")) for d in documents]
    assert steps == [("Archive", None, None), ("Retention", False, DIGEST), ("Retention", True, DIGEST)]
    assert documents[-1]["requireArchive"]
    assert documents[-1]["known"] == [made["metadata"]["uid"]]
    components = ("archive", "retention")
    world.until(
        "their Jobs are removed",
        lambda: not [j for c in components for j in world.all("jobs", **{"app.kubernetes.io/component": c})],
    )


def test_an_older_round_gives_way_to_a_newer_one(world: World, outcomes: Outcomes) -> None:
    documents: list[Obj] = []
    configure(world, retention={"minFreeBytes": 100})
    uids: dict[str, str] = {}

    def free(document: Obj) -> int:
        return 10 if document["roundUid"] == uids.get("second") and not document["remove"] else 1000

    world.kubelet.script = script(outcomes, documents, free)
    world.model("m-500")
    world.round("first")
    world.start_operator()
    world.until_condition("evalrounds", "first", "FilesKept")
    world.until("a measurement", lambda: world.get("evalrounds", "first")["status"]["files"])
    uids["second"] = world.round("second", suspend=True)["metadata"]["uid"]
    world.api.merge(world.path("evalrounds", "second"), {"spec": {"suspend": False}})
    world.until_condition("evalrounds", "first", "FilesKept", "False")
    assert world.condition("evalrounds", "second", "FilesKept")["status"] == "True"
    assert not any(document["remove"] for document in documents if document["roundUid"] == uids["second"])
