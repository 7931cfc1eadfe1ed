"""One evaluation with an engine that only pretends: results, resumption, faults."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.evaluation.pretended import (
    ANSWERS,
    Killed,
    PretendedBackend,
    Recorded,
    changed,
    files,
    run,
    task,
)

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, ScorerName
from bitagent_crds.fields import PromptFormatName
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.progress import EvaluationPhase
from bitagent_crds.results import NoteKind, Response, ResultsManifest
from bitagent_crds.sketches import AnswerSketch
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.findings import FindingKind
from bitagent_evaluator.evaluation.journal import RESPONSES
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import summary_of
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.evaluation.timeline import read_timeline
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.scoring.scorers import score
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault


def test_results_say_what_happened(evaluation: Evaluation, models: Path) -> None:
    progress = Recorded()
    outcome = evaluate(evaluation, PretendedBackend(models), progress)
    assert (outcome.aggregate.passed, outcome.aggregate.total, outcome.aggregate.score) == (5, 10, "0.500000")
    assert outcome.aggregate.categories["even"].passed == 5
    assert outcome.run.prompt_format == BuiltinPromptFormat.CHAT_TEMPLATE
    written = files(evaluation.out_dir)
    lines = [json.loads(line) for line in written[RESPONSES].splitlines()]
    assert [line["id"] for line in lines] == [f"t{number}" for number in range(10)]
    assert {line["text"] for line in lines} == set(ANSWERS.values())
    manifest = ResultsManifest.model_validate_json(written["manifest.json"])
    assert outcome.result_digest == "sha256:" + hashlib.sha256(written["manifest.json"]).hexdigest()
    assert manifest.responses_digest == "sha256:" + hashlib.sha256(written[RESPONSES]).hexdigest()
    assert manifest.verdicts_digest == "sha256:" + hashlib.sha256(written["verdicts.jsonl"]).hexdigest()
    assert (manifest.score, manifest.device) == ("0.500000", "pretended")
    assert manifest.packages["pretended"] == "1"
    assert manifest.packages["bfcl-eval"] == "2026.3.23"
    assert manifest.engine["max_model_len"] > 32
    assert progress.counts[0] == (0, 10) and progress.counts[-1] == (10, 10)
    loading, generating, scoring = EvaluationPhase
    assert progress.phases == [loading, loading, generating, scoring]
    assert progress.steps > 0 and progress.tokens == sorted(progress.tokens) and progress.tokens[-1] > 0
    timeline = read_timeline(evaluation.out_dir)
    assert timeline is not None and timeline.answers == [0, 2, 4, 6, 8, 10]
    assert timeline.tokens[-1] == sum(line["completion_tokens"] for line in lines)


def test_summaries_have_a_sketch_of_the_answers(evaluation: Evaluation, models: Path) -> None:
    outcome, _ = run(evaluation, models)
    text = summary_of(outcome).answer_sketch
    assert text is not None and AnswerSketch.decode(text).agreement(AnswerSketch.decode(text)) == 1.0
    again, _ = run(evaluation, models)
    assert summary_of(again).answer_sketch == text


def test_another_scorer_judges_the_same_answers(evaluation: Evaluation, models: Path) -> None:
    first, _ = run(evaluation, models)
    second, backend = run(changed(evaluation, scorer=BuiltinScorer.BITAGENT_2025_04), models)
    manifest = ResultsManifest.model_validate_json((evaluation.out_dir / "manifest.json").read_bytes())
    assert (backend.engines, second.resumed, second.aggregate.total) == ([], 10, first.aggregate.total)
    assert (manifest.scorer, manifest.score) == (BuiltinScorer.BITAGENT_2025_04, second.aggregate.score)
    assert manifest.interval == second.aggregate.interval is not None
    assert manifest.categories["even"].interval is not None
    verdicts = [json.loads(line) for line in (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()]
    assert all("function_name" in verdict["criteria"] for verdict in verdicts)


def test_killed_run_goes_on_and_ends_the_same(evaluation: Evaluation, models: Path, tmp_path: Path) -> None:
    whole, _ = run(changed(evaluation, out_dir=tmp_path / "whole"), models)
    for dies_after in (4, 2):
        with pytest.raises(Killed):
            run(evaluation, models, dies_after=dies_after)
    with (evaluation.out_dir / RESPONSES).open("ab") as file:
        file.write(b'{"id":"t0","text":"to')
    outcome, backend = run(evaluation, models)
    assert outcome.resumed == 6
    assert [prompt.key for prompt in backend.engines[0].asked] == ["t0", "t1", "t2", "t3"]
    assert files(evaluation.out_dir) == files(tmp_path / "whole")
    assert outcome.result_digest == whole.result_digest


def test_complete_run_starts_no_engine(evaluation: Evaluation, models: Path) -> None:
    first, _ = run(evaluation, models)
    before = files(evaluation.out_dir)
    (evaluation.out_dir / "manifest.json").unlink()
    again, backend = run(evaluation, models)
    assert backend.engines == [] and again.resumed == 10
    assert files(evaluation.out_dir) == before and again.result_digest == first.result_digest
    kept, found = first.seconds, again.seconds
    assert (found.load, found.generate) == (kept.load, kept.generate), "those of the run that generated"


def test_notes_on_the_model_are_in_the_manifest(evaluation: Evaluation, checkpoint: Any, models: Path) -> None:
    template = checkpoint.path / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", "[END]"))
    outcome, _ = run(changed(evaluation, model_dir=checkpoint.path), models)
    manifest = ResultsManifest.model_validate_json((evaluation.out_dir / "manifest.json").read_bytes())
    ((kind, (note,)),) = manifest.notes.items()
    assert kind is NoteKind.TURN_END and "[END]" in note
    assert [(finding.kind, finding.text) for finding in outcome.findings] == [(FindingKind.MODEL_NOTE, note)]


CHANGES: dict[str, dict[str, Any]] = {
    "task set": {"task_set_digest": "sha256:" + "3" * 64},
    "weights": {"weights_digest": "sha256:" + "4" * 64},
    "format": {"prompt_format": BuiltinPromptFormat.BFCL},
    "max tokens": {"max_tokens": 33},
    "dtype": {"engine": EngineChoices.model_validate({"dtype": "Float32"})},
    "length": {"engine": EngineChoices(max_model_length=1024)},
    "questions": {"tasks": [task(number, "Add 1 and 2!") for number in range(10)]},
    "fresh": {"fresh": True},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_answers_to_other_inputs_are_set_aside(evaluation: Evaluation, models: Path, changes: dict[str, Any]) -> None:
    run(evaluation, models)
    before = (evaluation.out_dir / RESPONSES).read_bytes()
    outcome, backend = run(changed(evaluation, **changes), models)
    assert outcome.resumed == 0 and len(backend.engines[0].asked) == 10
    (aside,) = evaluation.out_dir.glob("responses-*.jsonl")
    assert aside.read_bytes() == before


def test_answers_of_another_engine_are_set_aside(evaluation: Evaluation, models: Path) -> None:
    run(evaluation, models)
    assert run(evaluation, models, identity="pretended 2")[0].resumed == 0


def test_every_device_that_answered_is_named(evaluation: Evaluation, models: Path) -> None:
    with pytest.raises(Killed):
        run(evaluation, models, dies_after=4, device="one")
    outcome, _ = run(evaluation, models, device="two")
    assert outcome.device == "one + two"


def test_prompt_that_does_not_fit_fails_its_task(evaluation: Evaluation, models: Path) -> None:
    tasks = [task(0), task(2, "Add 1 and 2. " * 1000), task(4)]
    outcome, backend = run(changed(evaluation, tasks=tasks), models)
    assert outcome.too_long == 1
    assert (outcome.aggregate.passed, outcome.aggregate.total) == (2, 3)
    verdicts = [json.loads(line) for line in (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()]
    assert [verdict["error"] for verdict in verdicts] == ["", "no_response", ""]
    assert len(backend.engines[0].asked) == 2


ALTERNATING = (
    "{% for m in messages %}{% if loop.index0 % 2 and m.role == 'user' %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ m.content }}{% endfor %}"
)
SAID = "the chat template: TemplateError: roles must alternate"


def twice(given: Task) -> Task:
    return given.model_copy(update={"messages": given.messages * 2})


@pytest.mark.parametrize("scorer", [BuiltinScorer.BFCL, BuiltinScorer.BITAGENT_2025_04, BuiltinScorer.EXACT_MATCH])
def test_a_task_that_the_template_refuses_fails_alone(
    evaluation: Evaluation, checkpoint: Any, models: Path, scorer: ScorerName
) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(ALTERNATING)
    asked = changed(
        evaluation,
        model_dir=checkpoint.path,
        tasks=[task(0), twice(task(2)), task(4)],
        prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE,
        scorer=scorer,
    )
    for resumed in (0, 2):
        outcome, _ = run(asked, models)
        assert (outcome.aggregate.total, outcome.too_long, dict(outcome.refused)) == (3, 0, {"t2": SAID})
        assert outcome.resumed == resumed
        verdicts = [json.loads(line) for line in (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()]
        assert [verdict["error"] == "prompt_refused" for verdict in verdicts] == [False, True, False]
        assert verdicts[1]["detail"] == SAID and not verdicts[1]["passed"]
    summary = summary_of(outcome)
    assert summary.message.endswith(f"; 1 prompts were refused, such as t2: {SAID}")


def test_a_template_that_refuses_every_task_is_the_models_fault(
    evaluation: Evaluation, checkpoint: Any, models: Path
) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(ALTERNATING)
    asked = changed(
        evaluation,
        model_dir=checkpoint.path,
        tasks=[twice(task(0)), twice(task(2))],
        prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE,
    )
    with pytest.raises(ModelFault, match="roles must alternate") as fault:
        run(asked, models)
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


def test_answer_gets_what_the_prompt_leaves(evaluation: Evaluation, models: Path) -> None:
    limits = EngineChoices(max_model_length=256)
    _, backend = run(changed(evaluation, engine=limits, max_tokens=8192), models)
    (engine,) = backend.engines
    assert {len(prompt.token_ids) + prompt.max_tokens for prompt in engine.asked} == {256}
    assert backend.plans[0].arguments["max_model_len"] == 256


def test_weights_that_are_no_numbers_never_reach_an_engine(
    evaluation: Evaluation, checkpoint: Any, models: Path
) -> None:
    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        return header, b"\xc0\x7f" * (len(data) // 2)

    checkpoint.header(change)
    backend = PretendedBackend(models)
    with pytest.raises(ModelFault, match="NaN") as fault:
        evaluate(changed(evaluation, model_dir=checkpoint.path), backend, Recorded())
    assert fault.value.reason is Reason.NON_FINITE_WEIGHTS and backend.engines == []


def test_model_that_is_gone_is_infrastructure(evaluation: Evaluation, models: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for gone in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(InfrastructureFault, match="no model"):
            run(changed(evaluation, model_dir=gone), models)


def test_a_sandbox_that_is_lost_may_be_the_models_own_trouble(
    evaluation: Evaluation, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child is also killed because the model left it no memory. No score, and another attempt follows."""

    def lose(directory: Path) -> bool:
        raise SandboxUnavailable("the sandbox ended with -9 before it answered")

    monkeypatch.setattr("bitagent_evaluator.evaluation.prepared.checked_model", lose)
    with pytest.raises(InfrastructureFault) as caught:
        run(evaluation, models)
    assert caught.value.reason is Reason.CRASHED


def test_unsafe_model_is_a_model_fault(evaluation: Evaluation, checkpoint: Any, models: Path) -> None:
    checkpoint.config(auto_map={})
    with pytest.raises(ModelFault) as fault:
        run(changed(evaluation, model_dir=checkpoint.path), models)
    assert fault.value.reason is Reason.CUSTOM_CODE


@pytest.mark.parametrize(
    ("used", "passed"),
    [
        pytest.param(BuiltinPromptFormat.HAMMER, True, id="a format that asks for JSON"),
        pytest.param(BuiltinPromptFormat.BFCL, False, id="a format that asks for Python calls"),
    ],
)
def test_answers_are_read_in_the_syntaxes_of_the_format(used: PromptFormatName, passed: bool) -> None:
    answer = Response(
        id="t1",
        text='[{"name": "add", "arguments": {"a": 1, "b": 2}}]',
        finish_reason="stop",
        prompt_tokens=1,
        completion_tokens=1,
    )
    assert [v.passed for v in score([task(1)], [answer], syntaxes=prompt_format(used).syntaxes)] == [passed]
