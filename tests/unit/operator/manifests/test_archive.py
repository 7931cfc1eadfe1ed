"""The archive Job: one round's files, read-only, and the keys of one Secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import ANY_JOB, JOB_ANNOTATION, ArchiveJob
from bitagent_crds.names import COMPONENT_LABEL, FINISHED_LABEL
from bitagent_operator.manifests.archive import archive_job
from bitagent_operator.plan.interface import StartArchive

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
ARCHIVE = {"url": "s3://bucket/x", "secretName": "s3"}


def made(make: Make, **archive: Any) -> Obj:
    config = make.config(archive=ARCHIVE | archive)
    assert config.archive is not None
    observed = make.round(status={"finishedAt": "2026-01-01T00:01:40Z"})
    return archive_job(config, config.archive, observed, StartArchive(2, f"{config.archive_uri}/r"))


def document(job: Obj) -> ArchiveJob:
    parsed = ANY_JOB.validate_json(job["spec"]["template"]["metadata"]["annotations"][JOB_ANNOTATION])
    assert isinstance(parsed, ArchiveJob)
    return parsed


def test_the_document(make: Make) -> None:
    written = document(made(make, endpoint="https://s3.example", region="eu", pathStyle=False))
    assert (written.uri, written.endpoint, written.region, written.path_style, written.ca_file) == (
        "s3://bucket/x/ns/r", "https://s3.example", "eu", False, None,
    )  # fmt: skip
    assert (written.round, written.round_uid, written.round_dir) == ("r", "uid-r", "/round")


def test_it_names_what_the_volume_must_hold(make: Make) -> None:
    digest = "sha256:" + "d" * 64
    good = {"state": "Succeeded", "reason": "Evaluated", "key": "k", "resultDigest": digest}
    results = {"a": good, "copy": good, "lost": {"state": "InfraFault", "reason": "Crashed", "key": "l"}}
    status = {"finishedAt": "2026-01-01T00:01:40Z", "taskSet": {"digest": digest, "count": 1, "uri": "x"}}
    config = make.config(archive=ARCHIVE)
    assert config.archive is not None
    observed = make.started(*results, results=results, status=status)
    job = archive_job(config, config.archive, observed, StartArchive(1, f"{config.archive_uri}/r"))
    assert document(job).expected == ["tasks/tasks.jsonl", "results/k"]
    assert document(made(make)).expected == []


def test_it_reads_one_round_and_writes_nothing(make: Make) -> None:
    container = made(make)["spec"]["template"]["spec"]["containers"][0]
    found = next(m for m in container["volumeMounts"] if m["name"] == "artifacts")
    assert found == {"name": "artifacts", "mountPath": "/round", "subPath": "rounds/uid-r", "readOnly": True}


def test_the_leaderboard_may_be_missing(make: Make) -> None:
    job = made(make)
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["leaderboard"]["configMap"] == {"name": "r-leaderboard", "optional": True}
    assert document(job).leaderboard == "/leaderboard/leaderboard.json"


def test_credentials_come_from_the_secret(make: Make) -> None:
    container = made(make)["spec"]["template"]["spec"]["containers"][0]
    keys = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in container["env"] if "valueFrom" in e}
    assert keys == {
        "AWS_ACCESS_KEY_ID": {"name": "s3", "key": "access-key-id"},
        "AWS_SECRET_ACCESS_KEY": {"name": "s3", "key": "secret-access-key"},
    }


def test_a_private_authority(make: Make) -> None:
    job = made(make, caConfigMap="authorities")
    pod = job["spec"]["template"]["spec"]
    assert document(job).ca_file == "/etc/bitagent-ca/ca.crt"
    assert {"name": "ca", "mountPath": "/etc/bitagent-ca", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    assert next(v for v in pod["volumes"] if v["name"] == "ca")["configMap"]["name"] == "authorities"


def test_one_pod_so_that_the_operator_decides_when_it_is_tried_again(make: Make) -> None:
    job = made(make)
    assert job["spec"]["backoffLimit"] == 0
    labels = job["metadata"]["labels"]
    assert (labels[COMPONENT_LABEL], labels[FINISHED_LABEL]) == ("archive", "1767225700")
    assert job["metadata"]["name"] == "r-archive-2"


def test_a_round_that_has_not_finished_is_refused(make: Make) -> None:
    config = make.config(archive=ARCHIVE)
    assert config.archive is not None
    with pytest.raises(ValueError, match="has not finished"):
        archive_job(config, config.archive, make.round(), StartArchive(1, "s3://bucket/x"))


def test_the_document_is_small(make: Make) -> None:
    annotation = made(make)["spec"]["template"]["metadata"]["annotations"][JOB_ANNOTATION]
    assert len(json.dumps(annotation)) < 1000


def test_waiting_does_not_count_in_its_time(make: Make) -> None:
    spec = made(make)["spec"]
    assert (spec["template"]["spec"]["activeDeadlineSeconds"], "activeDeadlineSeconds" in spec) == (6 * 3600, False)
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Count", "nothing else bounds how often it is removed"
