"""Sources and alterations as the API server takes them, and the task-set Job that follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

DIGEST = "sha256:" + "1" * 64
BFCL: dict[str, Any] = {"bfcl": {"categories": ["simple_python"]}}
COLUMNS = {"question": "query", "functions": "tools", "answers": "answers"}
DATASET: dict[str, Any] = {"repo": "o/d", "rows": "Columns", "columns": COLUMNS}
REWRITE: dict[str, Any] = {"url": "http://rewriter:8000/v1", "model": "m"}
SECRET = {"name": "bitagent-job-keys", "key": "token"}
HOTKEY = {"name": "wallet", "key": "hotkey"}
NO_HOTKEY = "only a Secret whose name begins with bitagent-job- may be handed to a Job"

GOOD = [
    pytest.param([{"huggingFace": DATASET | {"tokenSecretRef": SECRET}}], [], id="dataset by columns"),
    pytest.param([{"huggingFace": {"repo": "o/d", "rows": "Glaive"}}], [], id="dataset of Glaive"),
    pytest.param([{"jsonl": {"url": {"url": "https://e.org/t", "digest": DIGEST}}}], [], id="file by URL"),
    pytest.param([{"stream": {"url": "https://e.org/t", "newest": 10}}], [], id="stream by URL"),
    pytest.param(
        [{"stream": {"wandb": {"entity": "e", "project": "p", "apiKeySecretRef": SECRET}}}], [], id="stream of runs"
    ),
    pytest.param(
        [{"huggingFace": {"repo": "o/d", "rows": "Columns", "columns": {"messages": "m", "reference": "r"}}}],
        [],
        id="references",
    ),
    pytest.param([BFCL], [{"rewrite": REWRITE | {"apiKeySecretRef": SECRET}}, {"merge": {}}], id="rewrite and merge"),
    pytest.param(
        [BFCL], [{"rewrite": REWRITE | {"minSimilarity": "0.5", "maxSimilarity": "1.0"}}], id="bounds of similarity"
    ),
    pytest.param(
        [{"huggingFace": DATASET}] * 8, [{"rewrite": REWRITE | {"minSimilarity": "0.5"}}] * 8, id="as many as may be"
    ),
]

BAD = [
    pytest.param({"sources": [{"huggingFace": {"repo": "o/d", "rows": "Columns"}}]}, "columns must be set", id="rows"),
    pytest.param(
        {"sources": [{"huggingFace": {"repo": "o/d", "columns": COLUMNS}}]}, "columns must be set", id="no rows"
    ),
    pytest.param(
        {"sources": [{"stream": {"url": "https://e.org/t", "columns": COLUMNS}}]},
        "columns must be set when rows is Columns, and only then",
        id="columns of a stream of tasks",
    ),
    pytest.param(
        {"sources": [{"huggingFace": DATASET | {"columns": COLUMNS | {"messages": "m"}}}]},
        "exactly one of question, messages must be set",
        id="two questions",
    ),
    pytest.param(
        {"sources": [{"huggingFace": DATASET | {"columns": {"question": "q"}}}]},
        "one of answers and reference must be set",
        id="no answers",
    ),
    pytest.param(
        {"sources": [{"huggingFace": DATASET | {"columns": {"question": "q", "answers": "a"}}}]},
        "answers are calls: functions must be set too",
        id="no functions",
    ),
    pytest.param(
        {"sources": [{"jsonl": {"url": {"url": "https://e.org/t", "digest": DIGEST}, "configMap": SECRET}}]},
        "exactly one of configMap, volume, url must be set",
        id="two files",
    ),
    pytest.param({"sources": [{"jsonl": {"url": {"url": "https://e.org/t"}}}]}, "digest: Required", id="not pinned"),
    pytest.param({"sources": [{"stream": {}}]}, "exactly one of url, wandb must be set", id="empty stream"),
    pytest.param({"sources": [{"stream": {"url": "file:///etc/passwd"}}]}, "should match", id="no web address"),
    pytest.param(
        {"alterations": [{"rewrite": REWRITE | {"minSimilarity": "0.9", "maxSimilarity": "0.30"}}]},
        "minSimilarity must be below maxSimilarity",
        id="similarities",
    ),
    pytest.param({"alterations": [{"rewrite": REWRITE | {"minSimilarity": "2.0"}}]}, "should match", id="no ratio"),
    pytest.param({"alterations": [{"rewrite": {"model": "m"}}]}, "url and model belong together", id="no endpoint"),
    pytest.param(
        {"sources": [{"huggingFace": DATASET | {"tokenSecretRef": HOTKEY}}]}, NO_HOTKEY, id="hotkey as hub token"
    ),
    pytest.param(
        {"sources": [{"stream": {"wandb": {"entity": "e", "project": "p", "apiKeySecretRef": HOTKEY}}}]},
        NO_HOTKEY,
        id="hotkey to a stream",
    ),
    pytest.param(
        {"alterations": [{"rewrite": REWRITE | {"apiKeySecretRef": HOTKEY}}]}, NO_HOTKEY, id="hotkey to a rewriter"
    ),
    pytest.param(
        {"alterations": [{"rewrite": REWRITE, "merge": {}}]}, "exactly one of toolShuffle", id="two alterations at once"
    ),
]


def tasks(**more: Any) -> Obj:
    return {"sources": [BFCL], "count": 10, "seed": "1"} | more


def validator(template: Obj, hotkey: Obj) -> Obj:
    competition = {"id": "c", "schedule": {"everyBlocks": 360}}
    competition["round"] = {"models": {"matchLabels": {}}, "tasks": template}
    wallet = {"hotkeySecretRef": hotkey}
    return {"netuid": 1, "chain": {"endpoints": ["ws://c:1"]}, "wallet": wallet, "competitions": [competition]}


@pytest.mark.parametrize(("sources", "alterations"), GOOD)
def test_what_the_contract_offers_is_taken_by_rounds_and_competitions(
    world: World, sources: list[Obj], alterations: list[Obj]
) -> None:
    made = world.round("good", tasks=tasks(sources=sources, alterations=alterations))
    template = {k: v for k, v in made["spec"]["tasks"].items() if k != "seed"}
    world.create("validators", "Validator", "good", validator(template, HOTKEY))


@pytest.mark.parametrize(("changed", "message"), BAD)
def test_what_it_does_not_is_refused_with_a_reason(world: World, changed: Obj, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        world.round("bad", tasks=tasks(**changed))


def test_models_and_wallets_keep_hotkeys_from_jobs(world: World) -> None:
    source = {"huggingFace": {"repo": "o/m", "tokenSecretRef": HOTKEY}}
    with pytest.raises(ApiError, match=NO_HOTKEY):
        world.create("minermodels", "MinerModel", "bad", {"source": source})
    with pytest.raises(ApiError, match="may be handed to Jobs: keep a hotkey in another"):
        world.create("validators", "Validator", "bad", validator({"sources": [BFCL], "count": 10}, SECRET))


def test_the_job_has_labels_and_keys_that_the_spec_names_and_tells_what_it_did(
    operator: World, outcomes: Outcomes
) -> None:
    summary = "10 tasks from 2 sources; Rewrite changed 8 of 10 (2 value_lost)"

    def script(pod: Obj, document: Obj) -> Exit | None:
        return outcomes.built(10, message=summary) if document["kind"] == "TaskSet" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    sources = [BFCL, {"huggingFace": DATASET | {"tokenSecretRef": SECRET}}]
    operator.round("named", tasks=tasks(sources=sources, alterations=[{"rewrite": REWRITE}]))
    status = operator.until_condition("evalrounds", "named", "Complete")["status"]
    (pod,) = operator.all("pods", **{"app.kubernetes.io/component": "task-set"})
    reached = {k for k in pod["metadata"]["labels"] if k.startswith("bitagent.io/egress-")}
    assert reached == {"bitagent.io/egress-hub", "bitagent.io/egress-rewriter"}
    env = {e["name"]: e.get("valueFrom", e.get("value")) for e in pod["spec"]["containers"][0]["env"]}
    assert env["SOURCE_1_KEY"] == {"secretKeyRef": SECRET}
    assert env["HF_ENDPOINT"] == "https://huggingface.co"
    assert next(c["message"] for c in status["conditions"] if c["type"] == "TasksReady") == summary
    messages = operator.until("event", lambda: operator.events_of("TaskSetBuilt"))
    assert messages == [f"{summary}; {status['taskSet']['digest']}"]
