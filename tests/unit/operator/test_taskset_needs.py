"""A task-set pod has the network and the secrets that its round's spec names, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import alteration_key, source_key
from bitagent_crds.sources import TaskSource
from bitagent_operator.naming import Egress
from bitagent_operator.pods import taskset_job

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

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


def pod(make: Make, sources: list[Obj], alterations: list[Obj] | None = None, **config: Any) -> Obj:
    tasks = {"sources": sources, "alterations": alterations or [], "count": 1, "seed": "1"}
    template: Obj = taskset_job.build(make.config(**config), make.round(tasks=tasks), 1)["spec"]["template"]
    return template


def places(template: Obj) -> set[str]:
    labels = {k: v for k, v in template["metadata"]["labels"].items() if k.startswith("bitagent.io/egress-")}
    assert set(labels.values()) <= {"true"}
    return set(labels)


def environment(template: Obj) -> dict[str, Any]:
    env = template["spec"]["containers"][0]["env"]
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in env if e["name"] not in ("HOME", "USER")}


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
    make: Make, sources: list[Obj], alterations: list[Obj], expected: set[Egress]
) -> None:
    template = pod(make, sources, alterations)
    assert places(template) == expected
    assert ("HF_ENDPOINT" in environment(template)) is (HUB in expected)


def test_every_kind_of_source_was_thought_about() -> None:
    assert set(TaskSource.model_fields) == {"bfcl", "jsonl", "hugging_face", "stream", "weight"}


def test_the_hub_is_the_configured_one(make: Make) -> None:
    template = pod(make, [DATASET], hub={"endpoint": "http://hub.models:8080"})
    assert environment(template) == {"HF_ENDPOINT": "http://hub.models:8080"}


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
    make: Make, sources: list[Obj], alterations: list[Obj], expected: set[str]
) -> None:
    template = pod(make, sources, alterations)
    env = environment(template)
    assert {k: v for k, v in env.items() if k != "HF_ENDPOINT"} == dict.fromkeys(expected, REFERENCE)
    assert not [v for v in template["spec"]["volumes"] if "secret" in v]


def test_a_place_may_be_away_for_minutes(make: Make) -> None:
    """A Job waits 10 s before its second pod, and each time twice as long."""
    job = taskset_job.build(make.config(), make.round(), 1)
    assert sum(10 * 2**failed for failed in range(job["spec"]["backoffLimit"])) >= 300


def test_a_url_has_no_mount(make: Make) -> None:
    template = pod(make, [URL, CONFIG_MAP])
    paths = {m["mountPath"] for m in template["spec"]["containers"][0]["volumeMounts"]}
    assert {p for p in paths if p.startswith("/sources")} == {"/sources/1"}
