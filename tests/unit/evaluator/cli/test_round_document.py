"""What a round asks, by an EvalRound in several forms or by the manifest of a result."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from bitagent_evaluator.cli.documents import DocumentError, parse_document
from bitagent_evaluator.cli.round_document import asked_by

Obj = dict[str, Any]
DIGEST = "sha256:" + "7" * 64
COMMIT = "c" * 40
TASKS: Obj = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 5, "seed": "1"}
ROUND: Obj = {
    "apiVersion": "bitagent.io/v1alpha1",
    "kind": "EvalRound",
    "metadata": {"name": "today", "namespace": "bitagent", "managedFields": [{"manager": "x"}]},
    "spec": {
        "models": {"matchLabels": {}},
        "tasks": TASKS,
        "evaluation": {"scorer": "BfclStrict", "maxTokens": 99},
        "workload": {"deadlineSeconds": 600},
    },
    "status": {
        "taskSet": {"digest": DIGEST, "count": 5, "uri": "pvc://x"},
        "results": [
            {
                "model": "mine",
                "repo": "me/x",
                "commit": COMMIT,
                "promptFormat": "Hammer",
                "engine": {"dtype": "Float16"},
            },
            {"model": "waiting", "state": "Pending"},
            {"model": "later", "repo": "me/y", "engine": {"aChoiceOfALaterVersion": 1}},
        ],
    },
}
MANIFEST: Obj = {
    "schema_version": 1,
    "repo": "me/x",
    "commit": COMMIT,
    "weights_digest": None,
    "task_set_digest": "sha256:" + "6" * 64,
    "prompt_format": "Bfcl",
    "max_tokens": 64,
    "max_prompt_tokens": 900,
    "engine": {},
    "choices": {"dtype": "Float32"},
    "packages": {},
    "device": "d",
    "dtype": "float32",
    "responses_digest": DIGEST,
    "verdicts_digest": DIGEST,
    "score": "0.500000",
    "passed": 1,
    "total": 2,
    "categories": {},
    "task_set": {
        "digest": DIGEST,
        "count": 5,
        "seed": "1",
        "sources": [{"source": "huggingFace", "version": "d" * 40, "parameters": {}, "count": 5}],
        "categories": {},
        "builder": "b",
        "spec": {"sources": [{"huggingFace": {"repo": "a/b", "revision": "main"}}], "count": 5, "seed": "1"},
    },
}


def changed(document: Obj, path: str, value: Any) -> Obj:
    copy: Obj = json.loads(json.dumps(document))
    *parents, last = path.split(".")
    place = copy
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copy


FORMS: dict[str, str] = {
    "json": json.dumps(ROUND),
    "yaml": yaml.safe_dump(ROUND),
    "with other kinds": yaml.safe_dump_all([{"kind": "MinerModel", "spec": {}}, ROUND]),
    "list of kubectl": json.dumps({"kind": "List", "items": [ROUND]}),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_round(text: str) -> None:
    asked = asked_by(parse_document(text.encode(), "r"), "r")
    assert (asked.name, asked.tasks.count, asked.digest) == ("today", 5, DIGEST)
    rules = asked.run
    assert (rules.scorer, rules.max_tokens, rules.generate_seconds) == ("BfclStrict", 99, 300)
    (mine,) = asked.entries
    assert (mine.model, mine.repo, mine.commit, mine.prompt_format) == ("mine", "me/x", COMMIT, "Hammer")
    assert mine.engine.dtype == "Float16"


def test_one_of_several_rounds_by_name() -> None:
    both = [ROUND, changed(ROUND, "metadata.name", "b")]
    assert asked_by(both, "r", name="b").name == "b"
    with pytest.raises(DocumentError, match="no EvalRound c; there are: today, b"):
        asked_by(both, "r", name="c")


def test_a_spec_alone_and_a_round_without_status() -> None:
    alone = asked_by(ROUND["spec"], "r")
    assert alone.run == asked_by(changed(ROUND, "status", None), "r").run
    assert (alone.name, alone.digest, alone.entries) == ("round", None, ())


def test_a_result() -> None:
    asked = asked_by(MANIFEST, "m")
    assert (asked.run.max_tokens, asked.run.max_prompt_tokens, asked.limit, asked.digest) == (64, 900, 2, DIGEST)
    source = asked.tasks.sources[0].hugging_face
    assert source is not None
    assert source.revision == "d" * 40, "the commit that was read, not what the branch is now"
    assert [(entry.repo, entry.commit, entry.engine.dtype) for entry in asked.entries] == [("me/x", COMMIT, "Float32")]
    assert asked.notes == ()


@pytest.mark.parametrize(
    ("path", "value"), [("max_prompt_tokens", None), ("engine", {"url": "http://x/v1"})], ids=["no bound", "endpoint"]
)
def test_what_a_result_cannot_say_is_noted(path: str, value: Any) -> None:
    assert len(asked_by(changed(MANIFEST, path, value), "m").notes) == 1


WRONG: dict[str, tuple[Any, str]] = {
    "another kind": ({"kind": "Validator", "spec": {}}, "expected an EvalRound.*it is a Validator"),
    "nothing": (None, "expected an EvalRound"),
    "no spec": ({"kind": "EvalRound"}, "no spec"),
    "a later field": (changed(ROUND, "spec.evaluation.later", 1), "spec.evaluation.later: .*newer version"),
    "two rounds": ([ROUND, changed(ROUND, "metadata.name", "b")], "2 EvalRounds, today, b: choose one with --name"),
    "no tasks": (changed(MANIFEST, "task_set", None), "does not say how its tasks were made"),
    "no digest": (changed(MANIFEST, "score", "x"), "cannot read the manifest: score"),
}


@pytest.mark.parametrize(("document", "message"), WRONG.values(), ids=WRONG)
def test_other_documents(document: Any, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        asked_by(document, "r")
