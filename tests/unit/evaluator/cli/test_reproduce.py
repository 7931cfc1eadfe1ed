"""A result done again from its manifest: what is rebuilt, what is compared, what is said when it cannot be."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.results import ResultsManifest
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.tasks import Tasks
from bitagent_crds.texts import digest_of
from bitagent_evaluator.cli import reproduce
from bitagent_evaluator.cli.run_options import read_first_tasks
from bitagent_evaluator.engines.base import Completion, CompletionRequest, Engine
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.reproduce import reproduce_evaluation
from bitagent_evaluator.evaluation.results import fault_summary, write_summary
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.models import hub as huggingface
from bitagent_evaluator.models.digests import directory_model_digest, weight_files_digest, weights_digest
from bitagent_evaluator.models.hub import HubRepository
from bitagent_evaluator.support.faults import ModelFault
from bitagent_evaluator.support.progress import LogProgress
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import encode_tasks, read_task_set


class Answering:
    """An engine and its backend in one: answers every prompt with one text, but the tasks of `other` with another."""

    identity, device, packages = "answering 1", "pretended", {"pretended": "1"}

    def __init__(self, text: str, *, other: frozenset[str] = frozenset(), device: str = "pretended") -> None:
        self._text, self._other, self.device = text, other, device

    def prepare(self, model_dir: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))

    def hardware(self) -> Hardware:
        return Hardware(0, self.device)

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
        yield self  # type: ignore[misc]

    def generate(self, prompts: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        for prompt in prompts:
            text = "[other()]" if prompt.key in self._other else self._text
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
            yield [Completion(prompt.key, ids, len(ids) + 1, "stop")]


SPEC: dict[str, Any] = {
    "sources": [{"bfcl": {"categories": ["irrelevance"]}}],
    "alterations": [{"toolShuffle": {}}],
    "count": 12,
    "seed": "again",
}


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `results` of tiny-fc-600 on twelve `tasks`, by an engine that answers in prose."""
    folder = tmp_path_factory.mktemp("made")
    build_task_set(Tasks.model_validate(SPEC), files={}, out=folder / "tasks")
    manifest, tasks = read_task_set(folder / "tasks")
    model = models / "tiny-fc-600"
    evaluation = Evaluation(
        run=RunSpec(
            repo=str(model),
            weights_digest=weights_digest(model),
            model_digest=directory_model_digest(model),
            task_set_digest=manifest.digest,
            prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE,
            max_tokens=16,
        ),
        model_dir=model,
        tasks=tasks,
        task_set=manifest,
        out_dir=folder / "results",
    )
    evaluate(evaluation, Answering("no idea"), LogProgress())
    return folder


@pytest.fixture
def original(made: Path, tmp_path: Path) -> Path:
    """The results, for a test to change; their tasks lie beside them."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results"


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the verb on an engine; returns its exit code."""

    def run(engine: Answering, *argv: str | Path) -> int:
        monkeypatch.setattr(reproduce, "VllmBackend", lambda: engine)
        monkeypatch.setattr(reproduce, "leave", lambda code: code)
        return reproduce.main([str(argument) for argument in argv])

    return run


def test_the_same_again(original: Path, verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(Answering("no idea"), original / "manifest.json", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["reproduced"]
    assert (outcome["same_verdicts"], outcome["same_answers"], outcome["total"]) == (12, 12, 12)
    assert outcome["surroundings"] == {}
    assert (original / "again" / "manifest.json").read_bytes() == (original / "manifest.json").read_bytes()


@pytest.mark.parametrize("digest", [weights_digest, weight_files_digest], ids=["of tensors", "of files"])
def test_results_without_a_model_digest_name_their_weights(
    original: Path, models: Path, verb: Any, capsys: pytest.CaptureFixture[str], digest: Any
) -> None:
    path = original / "manifest.json"
    recorded = json.loads(path.read_text()) | {"weights_digest": digest(models / "tiny-fc-600")}
    del recorded["model_digest"]
    path.write_text(json.dumps(recorded))
    assert verb(Answering("no idea"), path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["reproduced"]


def test_a_differing_verdict_is_named_with_what_was_different(
    original: Path, verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first = json.loads((original / "verdicts.jsonl").read_text().splitlines()[0])["id"]
    engine = Answering("no idea", other=frozenset({first}), device="another processor")
    assert verb(engine, original, "--json") == reproduce.EXIT_DIFFERENT
    outcome = json.loads(capsys.readouterr().out)
    (found,) = outcome["differing"]
    assert (found["id"], found["before"], found["same_answer"]) == (first, "passed", False)
    assert found["after"] == "irrelevance_error:decoder_success"
    assert outcome["surroundings"] == {"device": ["pretended", "another processor"]}
    assert verb(engine, original) == reproduce.EXIT_DIFFERENT
    shown = capsys.readouterr().out
    assert "1 verdicts differ" in shown
    assert first in shown
    assert "another processor" in shown


def test_the_first_tasks_of_a_set_again(
    models: Path, original: Path, verb: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, tasks = read_first_tasks(tmp_path / "tasks", 5)
    before = ResultsManifest.model_validate_json((original / "manifest.json").read_bytes())
    limited = reproduce_evaluation(
        before.model_copy(update={"task_set": manifest, "task_set_digest": digest_of(encode_tasks(tasks))}),
        models / "tiny-fc-600",
        tasks,
        tmp_path / "limited",
    )
    evaluate(limited, Answering("no idea"), LogProgress())
    assert verb(Answering("no idea"), tmp_path / "limited", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["reproduced"], outcome["total"]) == (True, 5)


def test_a_fault_cannot_be_done_again(tmp_path: Path, verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fault = ModelFault(Reason.TEMPLATE_REFUSED, "roles must alternate")
    write_summary(tmp_path, fault_summary(fault, task_set_digest="sha256:" + "1" * 64))
    assert verb(Answering("no idea"), tmp_path) == 2
    assert "holds no answers: TemplateRefused: roles must alternate" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_told(original: Path, verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(Answering("no idea"), original, "--out", original / "manifest.json" / "again") == 1
    assert "Not a directory" in capsys.readouterr().err


def test_answers_that_lie_there_already_count_only_when_asked_to(
    original: Path, verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever hands over a result could lay answers beside it and have them compared with themselves."""
    (original / "again").mkdir()
    for name in ("responses.jsonl", "run.json"):
        shutil.copy(original / name, original / "again" / name)
    assert verb(Answering("[other()]"), original) == reproduce.EXIT_DIFFERENT
    for name in ("responses.jsonl", "run.json"):
        shutil.copy(original / name, original / "again" / name)
    assert verb(Answering("[other()]"), original, "--resume") == 0
    capsys.readouterr()


@pytest.mark.parametrize("out", ["results", "results/../results", "again/../results/"])
def test_a_result_is_not_written_over_by_its_repetition(
    original: Path, verb: Any, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (original.parent / "again").mkdir()
    before = {path.name: path.read_bytes() for path in original.iterdir()}
    assert verb(Answering("no idea"), original, "--out", original.parent / out) == 2
    assert "name another directory" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in original.iterdir()} == before


def test_other_words_with_the_same_verdicts_are_reproduced(
    original: Path, verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb(Answering("none"), original, "--json") == 0
    assert json.loads(capsys.readouterr().out)["same_answers"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task_set": None}, "does not say how its tasks were made: give them with --tasks"),
        ({"task_set.spec.seed": "other"}, "sources that change give other tasks; give the original with --tasks"),
        ({"task_set.spec.sources": [{"jsonl": {"volume": {"claimName": "c", "path": "p"}}}]}, "--file 0=PATH"),
        (
            {"task_set.files": {"rewrites.jsonl": "sha256:" + "0" * 64}},
            "responses of a language model (rewrites.jsonl): give them with --rewrites",
        ),
        ({"task_set.spec.count": 0}, "this version cannot build the task set: count"),
        ({"choices": {"dtype": "octal"}}, "this version cannot start the engine: choices.dtype"),
        ({"score": "0.250000"}, "score is 0.250000, the verdicts come to 1.000000"),
        ({"model_digest": "sha256:" + "0" * 64}, "the result is about sha256:000"),
        ({"model_digest": None, "weights_digest": "sha256:" + "0" * 64}, "the result is about sha256:000"),
        ({"engine.url": "http://here/v1"}, "answered behind http://here/v1"),
        ({"repo": "/nowhere/model"}, "give it with --model"),
        ({"repo": "volume/claim/x", "commit": "a" * 40}, "cluster's volume volume/claim/x"),
    ],
    ids=[
        "no task set",
        "other tasks",
        "file",
        "rewriter",
        "spec",
        "choices",
        "score",
        "model",
        "weights",
        "endpoint",
        "directory gone",
        "volume",
    ],
)
def test_what_cannot_be_done_again(
    original: Path, verb: Any, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    manifest = json.loads((original / "manifest.json").read_text())
    for path, value in change.items():
        *parents, last = path.split(".")
        target = manifest
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    (original / "manifest.json").write_text(json.dumps(manifest))
    assert verb(Answering("no idea"), original) == 2
    assert message in capsys.readouterr().err


def test_given_tasks_and_model_are_checked_against_the_manifest(
    original: Path, models: Path, tmp_path: Path, verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(models / "tiny-fc-600", tmp_path / "copy")
    engine = Answering("no idea")
    assert verb(engine, original, "--tasks", tmp_path / "tasks", "--model", copy) == 0
    assert verb(engine, original, "--model", models / "tiny-fc-250") == 2
    assert "has the model" in capsys.readouterr().err
    assert verb(engine, original, "--file", "x") == 2
    assert "--file x: write INDEX=PATH" in capsys.readouterr().err


def test_the_model_is_fetched_from_the_hub_at_its_commit(
    original: Path, models: Path, tmp_path: Path, verb: Any, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "b" * 40
    hub.add("acme/tiny", models / "tiny-fc-600", commit)
    there = functools.partial(HubRepository, endpoint=hub.endpoint)  # HF_ENDPOINT is read once, at import
    monkeypatch.setattr(huggingface, "HubRepository", there)
    manifest = json.loads((original / "manifest.json").read_text()) | {"repo": "acme/tiny", "commit": commit}
    (original / "manifest.json").write_text(json.dumps(manifest))
    assert verb(Answering("no idea"), original, "--cache", tmp_path / "cache") == 0
    assert (tmp_path / "cache" / "acme/tiny" / commit / "model.safetensors").is_file()
