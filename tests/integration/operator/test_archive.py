"""A finished round is archived by one Job, on a real API server: its status says so, and nothing else moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_crds.jobs import ArchiveSummary, termination_message

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, Script, World

DIGEST = "sha256:" + "d" * 64
ARCHIVE = {"url": "s3://bucket/x", "endpoint": "https://s3.example", "secretName": "s3"}
Obj = dict[str, Any]


@pytest.fixture
def archiving(world: World) -> World:
    """The world whose operator has an archive; not started yet."""
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"archive": ARCHIVE}))
    return world


def script(outcomes: Outcomes, documents: list[Obj], **summary: Any) -> Script:
    """Everything works, and archive Jobs end with this summary."""

    def end(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] != "Archive":
            return outcomes.usual(pod, document)
        documents.append(document)
        made = ArchiveSummary.model_validate(summary)
        return outcomes.crashed(0 if made.digest else 1, termination_message(made))

    return end


def archive_jobs(world: World) -> list[Obj]:
    return world.all("jobs", **{"app.kubernetes.io/component": "archive"})


def test_a_complete_round_is_archived(archiving: World, outcomes: Outcomes) -> None:
    world, documents = archiving, list[Obj]()
    world.kubelet.script = script(outcomes, documents, reason="Archived", digest=DIGEST, files=7, bytes=99)
    world.model("m-500")
    world.round("r")
    world.start_operator()
    found = world.until_condition("evalrounds", "r", "Archived")
    archive = found["status"]["archive"]
    assert (archive["digest"], archive["files"], archive["bytes"]) == (DIGEST, 7, 99)
    assert archive["uri"].startswith(f"s3://bucket/x/{world.namespace}/r-{found['metadata']['uid'][:8]}/")
    assert {document["uri"] for document in documents} == {archive["uri"]}
    assert found["status"]["phase"] == "Complete"
    world.until("its Job is removed", lambda: not archive_jobs(world))
    world.until("an Event", lambda: world.events_of("RoundArchived"))


def test_an_archive_that_fails_is_reported_and_leaves_the_round_alone(archiving: World, outcomes: Outcomes) -> None:
    world, documents = archiving, list[Obj]()
    world.kubelet.script = script(outcomes, documents, reason="ArchiveDenied", message="no such key")
    world.model("m-500")
    world.round("r")
    world.start_operator()
    world.until("the cause", lambda: world.condition("evalrounds", "r", "Archived").get("reason") == "ArchiveDenied")
    status = world.get("evalrounds", "r")["status"]
    assert (status["phase"], status["results"][0]["score"], status.get("archive")) == ("Complete", "0.500000", None)
    world.until("an Event", lambda: world.events_of("ArchiveDelayed"))


def test_an_operator_that_starts_later_archives_what_has_finished(archiving: World, outcomes: Outcomes) -> None:
    world, documents = archiving, list[Obj]()
    path = Path(world.environment["BITAGENT_CONFIG"])
    config = path.read_text()
    path.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(config).items() if k != "archive"}))
    world.kubelet.script = script(outcomes, documents, reason="Archived", digest=DIGEST)
    world.model("m-500")
    world.round("r")
    world.start_operator()
    world.until_condition("evalrounds", "r", "Complete")
    assert not world.condition("evalrounds", "r", "Archived")
    world.kill_operator()
    path.write_text(config)
    world.start_operator()
    world.until_condition("evalrounds", "r", "Archived")
