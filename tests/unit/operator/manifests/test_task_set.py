"""A task-set pod has the network and the secrets that its round's spec names, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import OPERATOR_KEYS, alteration_key, source_key
from bitagent_crds.names import Egress
from bitagent_crds.tasks import TaskSource

if TYPE_CHECKING:
    from tests.unit.operator.manifests.conftest import Build, BuiltJob

Obj = dict[str, Any]
DIGEST = "sha256:" + "1" * 64
SECRET = {"name": "bitagent-job-keys", "key": "token"}
REFERENCE = {"secretKeyRef": SECRET}
HUB, WEB, REWRITER = Egress.HUB, Egress.WEB, Egress.REWRITER

BFCL = {"bfcl": {"categories": ["simple_python"]}}
CONFIG_MAP = {"jsonl": {"configMap": {"name": "tasks", "key": "t.jsonl"}}}
VOLUME = {"jsonl": {"volume": {"claimName": "data", "path": "t.jsonl"}}}
URL = {"jsonl": {"url": {"url": "https://example.org/t.jsonl", "digest": DIGEST}}}
DATASET = {"huggingFace": {"repo": "o/d"}}
STREAM = {"stream": {"url": "https://example.org/log.jsonl"}}
RUNS = {"stream": {"wandb": {"entity": "e", "project": "p"}}}
MASK = {"functionMask": {}}
REWRITE = {"rewrite": {"url": "http://rewriter:8000/v1", "model": "m"}}


def job(build: Build, sources: list[Obj], alterations: list[Obj] | None = None, **config: Any) -> BuiltJob:
    tasks = {"sources": sources, "alterations": alterations or [], "count": 1, "seed": "1"}
    return build.task_set(config=config, tasks=tasks)


def test_the_document_has_the_rounds_evaluation(build: Build) -> None:
    """So that names that the evaluator does not have are refused before any GPU is used."""
    tasks = {"sources": [BFCL], "count": 1, "seed": "1"}
    built = build.task_set(config={}, tasks=tasks, evaluation={"scorer": "Theirs", "promptFormat": "Ours"})
    assert built.document.evaluation.scorer == "Theirs"
    assert built.document.evaluation.prompt_format == "Ours"


def test_waiting_for_a_node_is_not_building(build: Build) -> None:
    """A round must not fail because its first pod has waited, for however long."""
    spec = job(build, [BFCL]).raw["spec"]
    assert (spec["template"]["spec"]["activeDeadlineSeconds"], "activeDeadlineSeconds" in spec) == (3600, False)


def places(built: BuiltJob) -> set[str]:
    labels = {k: v for k, v in built.labels.items() if k.startswith("bitagent.io/egress-")}
    assert set(labels.values()) <= {"true"}
    return set(labels)


@pytest.mark.parametrize(
    ("sources", "alterations", "expected"),
    [
        pytest.param([BFCL], [], set(), id="official cases"),
        pytest.param([CONFIG_MAP, VOLUME], [MASK], set(), id="mounted files"),
        pytest.param([URL], [], {WEB}, id="file by URL"),
        pytest.param([STREAM], [], {WEB}, id="stream by URL"),
        pytest.param([RUNS], [], {WEB}, id="stream of runs"),
        pytest.param([DATASET], [], {HUB}, id="dataset"),
        pytest.param([BFCL], [MASK, REWRITE], {REWRITER}, id="rewrite"),
        pytest.param([BFCL, DATASET, URL, RUNS], [REWRITE], {HUB, WEB, REWRITER}, id="everything"),
    ],
)
def test_it_reaches_what_the_spec_names(
    build: Build, sources: list[Obj], alterations: list[Obj], expected: set[Egress]
) -> None:
    built = job(build, sources, alterations)
    assert places(built) == expected
    assert ("HF_ENDPOINT" in built.environment) is (HUB in expected)


def test_every_kind_of_source_is_known_here() -> None:
    assert set(TaskSource.model_fields) == {"bfcl", "jsonl", "hugging_face", "stream", "weight"}


def test_the_hub_is_the_configured_one(build: Build) -> None:
    built = job(build, [DATASET], hub={"endpoint": "http://hub.models:8080"})
    assert built.environment == {"HF_ENDPOINT": "http://hub.models:8080"}


@pytest.mark.parametrize(
    ("sources", "alterations", "expected"),
    [
        pytest.param([DATASET, RUNS], [REWRITE], set(), id="none is named"),
        pytest.param(
            [BFCL, {"huggingFace": {"repo": "o/d", "tokenSecretRef": SECRET}}], [], {source_key(1)}, id="hub token"
        ),
        pytest.param(
            [{"stream": {"wandb": {"entity": "e", "project": "p", "apiKeySecretRef": SECRET}}}],
            [],
            {source_key(0)},
            id="key of a stream",
        ),
        pytest.param(
            [BFCL],
            [MASK, {"rewrite": REWRITE["rewrite"] | {"apiKeySecretRef": SECRET}}],
            {alteration_key(1)},
            id="key of a rewriter",
        ),
    ],
)
def test_keys_are_variables_of_their_own(
    build: Build, sources: list[Obj], alterations: list[Obj], expected: set[str]
) -> None:
    built = job(build, sources, alterations)
    env = built.environment
    assert {k: v for k, v in env.items() if k != "HF_ENDPOINT"} == dict.fromkeys(expected, REFERENCE)
    assert not [v for v in built.pod["volumes"] if "secret" in v]


def test_the_operators_token_is_for_sources_on_the_hub_that_name_none(build: Build) -> None:
    own = {"huggingFace": {"repo": "o/d", "tokenSecretRef": {"name": "bitagent-job-own", "key": "k"}}}
    built = job(build, [BFCL, DATASET, own, DATASET], hub={"tokenSecretRef": SECRET})
    env = built.environment
    assert env[source_key(1)] == env[source_key(3)] == REFERENCE
    assert env[source_key(2)] == {"secretKeyRef": {"name": "bitagent-job-own", "key": "k"}}
    assert env[OPERATOR_KEYS] == "1,3"
    assert OPERATOR_KEYS not in job(build, [BFCL, own], hub={"tokenSecretRef": SECRET}).environment


def test_a_place_may_be_away_for_minutes(build: Build) -> None:
    """A Job waits 10 s before its second pod, and each time twice as long."""
    assert sum(10 * 2**failed for failed in range(build.task_set().raw["spec"]["backoffLimit"])) >= 300


def test_a_url_has_no_mount(build: Build) -> None:
    mounts = job(build, [URL, CONFIG_MAP]).mounts
    assert {p for p in mounts if p.startswith("/sources")} == {"/sources/1"}


def test_files_of_task_sources_are_mounted_by_index(build: Build) -> None:
    volume = {"jsonl": {"volume": {"claimName": "data", "path": "x/t.jsonl"}}}
    built = job(build, [BFCL, CONFIG_MAP, volume])
    assert built.document.files == {"1": "/sources/1/t.jsonl", "2": "/sources/2/x/t.jsonl"}
    assert built.mounts["/sources/1"]["readOnly"]
    assert built.mounts["/sources/2"]["readOnly"]
