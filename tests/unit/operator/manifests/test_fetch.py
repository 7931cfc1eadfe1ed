"""The fetch Job: the hub and its token for hub models, a read-only mount for volume models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import CacheRoom
from bitagent_operator.manifests.fetch import fetch_job, fetch_templates
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.files.cache_room import MAX_IDS
from bitagent_operator.plan.interface import StartFetch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make
    from tests.unit.operator.manifests.conftest import Build

HASH = "k2oYXKqiZrucvpgengXLeM1zKwsygOuURBK7b4+PB68="
HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"


def test_only_a_fetch_has_the_hub_and_the_models_token(build: Build) -> None:
    source = {"huggingFace": {"repo": "o/m", "tokenSecretRef": {"name": "bitagent-job-s", "key": "t"}}}
    job = build.fetch(source)
    assert job.environment["HF_TOKEN"] == {"secretKeyRef": {"name": "bitagent-job-s", "key": "t"}}
    assert job.environment["HF_ENDPOINT"] == "https://huggingface.co"
    for other in (build.task_set(), build.evaluation()):
        assert other.environment == {}


def test_waiting_does_not_count_in_the_time_of_a_fetch(build: Build) -> None:
    spec = build.fetch().raw["spec"]
    assert (spec["template"]["spec"]["activeDeadlineSeconds"], "activeDeadlineSeconds" in spec) == (6 * 3600, False)


OWN, OPERATORS = {"name": "bitagent-job-s", "key": "t"}, {"name": "bitagent-job-hub", "key": "token"}


@pytest.mark.parametrize(
    ("source", "token", "operators"),
    [
        pytest.param({"huggingFace": {"repo": "o/m"}}, OPERATORS, True, id="none of its own"),
        pytest.param({"huggingFace": {"repo": "o/m", "tokenSecretRef": OWN}}, OWN, False, id="its own"),
        pytest.param({"volume": {"claimName": "c", "path": "p"}}, None, False, id="volume"),
    ],
)
def test_the_operators_token_is_for_models_without_one(
    build: Build, source: dict[str, Any], token: dict[str, str] | None, *, operators: bool
) -> None:
    job = build.fetch(source, config={"hub": {"tokenSecretRef": OPERATORS}})
    assert job.environment.get("HF_TOKEN") == ({"secretKeyRef": token} if token is not None else None)
    assert job.document.operator_token is operators


@pytest.mark.parametrize("verify", [False, True])
def test_a_fetch_of_files_that_were_missed_verifies_those_that_are_there(build: Build, *, verify: bool) -> None:
    job = build.fetch(verify=verify)
    assert job.document.verify is verify
    assert ("bitagent.io/verify" in job.raw["metadata"]["labels"]) == verify


PER_MODEL = {"cache": {"mode": "VolumePerModel"}}


@pytest.mark.parametrize(
    ("cache", "start"),
    [
        pytest.param({}, {}, id="shared"),
        pytest.param({}, {"commit": "c" * 40}, id="shared, of a commit"),
        pytest.param(PER_MODEL, {"facts_only": True}, id="facts"),
        pytest.param(PER_MODEL, {"resolve_only": True}, id="resolution"),
        pytest.param(PER_MODEL, {"commit": "c" * 40, "size_bytes": 1}, id="volume of its own"),
    ],
)
def test_the_template_follows_the_image_and_not_the_need(
    make: Make, build: Build, cache: dict[str, Any], start: dict[str, Any]
) -> None:
    jobs = [build.fetch(config=cache, room=CacheRoom(share_bytes=share), **start) for share in (0, 7)]
    found = [
        JobObject.parse(j.raw | {"metadata": make.meta("j", uid=str(n)) | j.raw["metadata"]})
        for n, j in enumerate(jobs)
    ]
    same = {job.meta.uid: job.template for job in found}
    assert len(set(same.values())) == 1
    assert fetch_templates(make.config(**cache), build.model(), found) == same
    images = {"evaluator": "e:2", "validator": "v:1"}
    assert fetch_templates(make.config(**cache, images=images), build.model(), found).items().isdisjoint(same.items())


def test_a_volume_model_lands_where_its_evaluation_looks(build: Build) -> None:
    source = {"volume": {"claimName": "mine", "path": "models/x"}}
    job = build.fetch(source)
    assert (job.document.directory, job.document.repo) == ("/volume/models/x", "volume/mine")
    assert job.mounts["/volume"]["readOnly"]
    evaluation = build.evaluation(model=build.model(source=source))
    assert evaluation.mounts["/model"]["subPath"] == "volume/mine/" + "a" * 40


def test_a_commit_that_a_round_has_fixed_is_what_is_fetched(build: Build) -> None:
    source = {"huggingFace": {"repo": "o/m", "revision": "main"}}
    head, fixed = build.fetch(source), build.fetch(source, commit="c" * 40)
    assert (head.document.revision, fixed.document.revision) == ("main", "c" * 40)
    assert fixed.labels["bitagent.io/commit"] == "c" * 40
    assert "bitagent.io/commit" not in head.labels


def test_a_resolution_is_told_apart(build: Build) -> None:
    job = build.fetch(resolve_only=True)
    assert (job.document.resolve_only, job.labels["bitagent.io/resolve-only"]) == (True, "true")


def test_what_may_be_removed_fits_in_the_annotation(build: Build) -> None:
    """An object's annotations may have 256 KiB together."""
    ids = ["0" * 12] * MAX_IDS
    job = build.fetch(room=CacheRoom(in_use=ids, done=ids, same_hotkey=ids))
    annotations = job.raw["spec"]["template"]["metadata"]["annotations"]
    assert sum(len(value) for value in annotations.values()) < 256 * 1024


@pytest.mark.parametrize(
    ("miner", "start", "compared"),
    [
        pytest.param({"commitmentHash": HASH}, {}, True, id="a hash"),
        pytest.param({}, {}, False, id="none"),
        pytest.param({"commitmentHash": HASH}, {"resolve_only": True}, False, id="no files"),
        pytest.param({"commitmentHash": HASH}, {"facts_only": True}, False, id="only facts"),
    ],
)
def test_the_miners_hash_is_compared_with_files(
    build: Build, make: Make, miner: dict[str, str], start: dict[str, bool], compared: bool
) -> None:
    model = build.model(miner={"hotkey": HOTKEY} | miner)
    made = StartFetch("need", make.T0, 1, **start)
    raw = json.dumps(fetch_job(make.config(), model, made, CacheRoom()))
    assert (HASH in raw) is compared
    assert ("commitment" in raw) is compared, "earlier evaluators do not know the member"
