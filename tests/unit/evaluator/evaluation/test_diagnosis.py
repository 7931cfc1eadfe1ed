"""What a diagnosis finds: counts by kind, each failed answer in one at most, and words for every kind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import NoteKind, Response, Unanswered, Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.diagnosis import Evidence, attempts_call, diagnose
from bitagent_evaluator.evaluation.findings import WORDS, FindingKind, RunFinding
from bitagent_evaluator.evaluation.given_answers import Coverage
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.scoring.scorers import score

SYNTAXES = (AnswerSyntax.PYTHON, AnswerSyntax.TOOL_CALL_BLOCKS)
ADD = {
    "name": "add",
    "description": "Adds.",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
TURN_END = {NoteKind.TURN_END: ["chat_template.jinja: it ends an answer with <|im_end|>"]}


def task(expects: str, task_id: str = "t") -> Task:
    content: dict[str, Any] = {"id": task_id, "source": "jsonl", "category": "sums", "expects": expects}
    content |= {"messages": [{"role": "user", "content": "Add one"}], "functions": [ADD]}
    return Task.model_validate(content | ({"ground_truth": [{"add": {"a": [1]}}]} if expects == "Calls" else {}))


def response(text: str, finish_reason: str = "stop", task_id: str = "t") -> Response:
    return Response(id=task_id, text=text, finish_reason=finish_reason, prompt_tokens=9, completion_tokens=9)


def diagnosed(
    asked: Task, answer: Response, scorer: BuiltinScorer = BuiltinScorer.BFCL, **more: Any
) -> list[FindingKind]:
    verdicts = score([asked], [answer], scorer=scorer, syntaxes=SYNTAXES)
    evidence = Evidence(scorer, 256, syntaxes=SYNTAXES, **({"tasks": {asked.id: asked}} | more))
    return [finding.kind for finding in diagnose(verdicts, {answer.id: answer}, evidence)]


BROKEN = '<tool_call>\n{"name": "add", "argum'


@pytest.mark.parametrize("scorer", [BuiltinScorer.BFCL, BuiltinScorer.EXACT_MATCH, BuiltinScorer.BITAGENT_2025_04])
@pytest.mark.parametrize(
    ("expects", "answer", "found"),
    [
        pytest.param("Calls", response("[add(a=1)]"), [], id="right"),
        pytest.param("Calls", response("[add(a=2)]"), [], id="a wrong value"),
        pytest.param("Calls", response("[sub(a=1)]"), [], id="a wrong name"),
        pytest.param("Calls", response("  \n"), [FindingKind.EMPTY], id="empty"),
        pytest.param("Calls", response(BROKEN), [FindingKind.UNREADABLE], id="half a call"),
        pytest.param("Calls", response("add(a=1"), [FindingKind.UNREADABLE], id="an open bracket"),
        pytest.param("Calls", response("I cannot do that."), [FindingKind.WITHOUT_CALL], id="words"),
        pytest.param("Calls", response("[]"), [FindingKind.WITHOUT_CALL], id="an empty list"),
        pytest.param("Calls", response("The sum of one", "length"), [FindingKind.CUT_OFF], id="cut"),
        pytest.param("Calls", response("<think>Well", "length"), [FindingKind.CUT_IN_THOUGHT], id="cut in thought"),
        pytest.param("Calls", response("[THINK]Well", "length"), [FindingKind.CUT_IN_THOUGHT], id="cut in Magistral's"),
        pytest.param("Calls", response("<think>Well</think>\n"), [FindingKind.ONLY_THOUGHT], id="a thought alone"),
        pytest.param("Calls", response("<think>Well"), [FindingKind.ONLY_THOUGHT], id="a thought that does not end"),
        pytest.param(
            "Calls", response("[THINK]Well[/THINK]"), [FindingKind.ONLY_THOUGHT], id="Magistral's thought alone"
        ),
        pytest.param(
            "Calls", response("<think>add(a=1)</think>"), [FindingKind.ONLY_THOUGHT], id="a call in a thought alone"
        ),
        pytest.param(
            "Calls", response("<think>Well</think>", "length"), [FindingKind.CUT_IN_THOUGHT], id="a cut thought, apart"
        ),
        pytest.param("NoCall", response("No function fits."), [], id="declined"),
        pytest.param("NoCall", response("[add(a=1)]"), [FindingKind.UNEXPECTED_CALL], id="called"),
        pytest.param("NoCall", response(BROKEN), [FindingKind.CREDITED], id="half a call is no call"),
        pytest.param(
            "NoCall", response("No function", "length"), [FindingKind.CUT_OFF, FindingKind.CREDITED], id="cut is none"
        ),
        pytest.param("AnyCall", response("I will."), [FindingKind.WITHOUT_CALL], id="words where any call is right"),
    ],
)
def test_an_answer(expects: str, answer: Response, found: list[FindingKind], scorer: BuiltinScorer) -> None:
    assert diagnosed(task(expects), answer, scorer) == found


@pytest.mark.parametrize(
    ("scorer", "kind"),
    [(BuiltinScorer.BFCL, FindingKind.CREDITED), (BuiltinScorer.BITAGENT_2025_04, FindingKind.ONLY_THOUGHT)],
)
def test_a_thought_alone_where_no_call_is_expected(scorer: BuiltinScorer, kind: FindingKind) -> None:
    assert diagnosed(task("NoCall"), response("<think>Well</think>"), scorer) == [kind]


@pytest.mark.parametrize("answer", [BROKEN, "words", "[]"], ids=["half a call", "words", "an empty list"])
def test_without_the_tasks_a_failed_answer_is_told_by_itself(answer: str) -> None:
    kind = FindingKind.UNREADABLE if answer == BROKEN else FindingKind.WITHOUT_CALL
    assert diagnosed(task("Calls"), response(answer), tasks=None) == [kind]


def test_a_turn_end_that_ends_nothing_is_named_with_the_cut_answers() -> None:
    """E18: each answer runs into the limit, and the template's end of turn is not an end token."""
    tasks = [task("Calls", f"t{i}") for i in range(40)]
    answers = [response("<|im_end|>" * 9, "length", of.id) for of in tasks]
    verdicts = score(tasks, answers, syntaxes=SYNTAXES)
    evidence = Evidence(BuiltinScorer.BFCL, 256, syntaxes=SYNTAXES, notes=TURN_END)
    finding, alike = diagnose(verdicts, {answer.id: answer for answer in answers}, evidence)
    assert (finding.kind, finding.count, finding.of, finding.share) == (FindingKind.NEVER_ENDS, 40, 40, 1.0)
    assert (alike.kind, alike.count) == (FindingKind.ALIKE, 40)
    assert finding.examples == ("t0", "t1", "t2")
    assert "256 tokens" in finding.text and TURN_END[NoteKind.TURN_END][0] in finding.cause


@pytest.mark.parametrize(("same", "found"), [(6, [FindingKind.ALIKE]), (5, []), (0, [])])
def test_the_same_answer_to_most_tasks(same: int, found: list[FindingKind]) -> None:
    tasks = [task("Calls", f"t{i}") for i in range(10)]
    answers = [response(f"[add(a={7 if i < same else 10 + i})]", task_id=of.id) for i, of in enumerate(tasks)]
    verdicts = score(tasks, answers, syntaxes=SYNTAXES)
    findings = diagnose(verdicts, {of.id: of for of in answers}, Evidence(BuiltinScorer.BFCL, 256, syntaxes=SYNTAXES))
    assert [finding.kind for finding in findings] == found
    assert not findings or "[add(a=7)]" in findings[0].text


def test_a_note_without_a_cut_answer_is_told_by_itself() -> None:
    (finding,) = diagnose([], {}, Evidence(BuiltinScorer.BFCL, 256, notes=TURN_END))
    assert (finding.kind, finding.text) == (FindingKind.MODEL_NOTE, TURN_END[NoteKind.TURN_END][0])
    assert finding.to_json() == {"kind": "ModelNote", "text": finding.text}


@pytest.mark.parametrize(
    ("tokens", "text", "kind", "limit"),
    [
        pytest.param(400, "Well", FindingKind.CUT_IN_THOUGHT, 400, id="opened by the prompt"),
        pytest.param(256, "Well", FindingKind.CUT_OFF, 256, id="an answer"),
        pytest.param(300, "Well</think>[add(", FindingKind.CUT_OFF, 256, id="an answer after a thought"),
    ],
)
def test_a_thought_with_a_limit_of_its_own_is_cut_there(tokens: int, text: str, kind: FindingKind, limit: int) -> None:
    cut = response(text, "length").model_copy(update={"completion_tokens": tokens})
    failed = Verdict(id=cut.id, category="c", passed=False, error="ast_decoder:decoder_failed")
    (finding,) = diagnose([failed], {cut.id: cut}, Evidence(BuiltinScorer.BFCL, 256, 400))
    assert (finding.kind, finding.limit) == (kind, limit)


@pytest.mark.parametrize("cause", list(Unanswered))
def test_every_cause_of_a_missing_answer_is_counted(cause: Unanswered) -> None:
    failed = [Verdict(id=f"t{i}", category="c", passed=False, error=cause, detail="because") for i in range(2)]
    passed = Verdict(id="t2", category="c", passed=True, score=1.0)
    (finding,) = diagnose([*failed, passed], {"t2": response("[]", task_id="t2")}, Evidence(BuiltinScorer.BFCL, 9))
    assert (finding.count, finding.of) == (2, 3)
    assert finding.kind not in (FindingKind.ABSENT, FindingKind.MODEL_NOTE)


@pytest.mark.parametrize(
    ("detail", "kind", "cause"),
    [
        ("the endpoint: answered 400: filtered", FindingKind.ENDPOINT_REFUSED, "answered 400: filtered"),
        ("no system role", FindingKind.PROMPT_REFUSED, "the model's chat template rejects the conversation: no system"),
    ],
    ids=["endpoint", "template"],
)
def test_who_refused_a_task_is_said(detail: str, kind: FindingKind, cause: str) -> None:
    verdict = Verdict(id="t", category="c", passed=False, error=Unanswered.PROMPT_REFUSED.value, detail=detail)
    (finding,) = diagnose([verdict], {}, Evidence(BuiltinScorer.BFCL, 9))
    assert (finding.kind, finding.count, finding.of) == (kind, 1, 1)
    assert finding.cause.startswith(cause)


def test_given_answers_are_counted_by_id() -> None:
    failed = Verdict(id="t", category="c", passed=False, error=Unanswered.NO_RESPONSE)
    coverage = Coverage(answered=3, absent=1, unknown=2, repeated=5)
    found = diagnose([failed], {}, Evidence(BuiltinScorer.BFCL, 9, coverage=coverage))
    assert [(of.kind, of.count, of.of) for of in found] == [
        (FindingKind.ABSENT, 1, 1),
        (FindingKind.UNKNOWN_ID, 2, 10),
        (FindingKind.REPEATED_ID, 5, 10),
    ]


def test_losses_have_no_answers_to_be_diagnosed() -> None:
    measured = Verdict(id="t", category="c", passed=True, score=0.5, loss=0.7)
    assert diagnose([measured], {"t": response("", "length")}, Evidence(BuiltinScorer.LOSS, 9)) == ()


def test_every_kind_has_words() -> None:
    assert list(WORDS) == list(FindingKind)
    for kind in FindingKind:
        finding = RunFinding(kind, 1, 2, note="why", limit=3)
        assert finding.text and "{" not in finding.text + finding.cause + finding.remedy


@pytest.mark.parametrize(
    ("text", "attempts"),
    [
        ('{"name": "f", "arguments": {"a": ', True),
        ("<function=add>", True),
        ("[TOOL_CALLS]add[ARGS]{", True),
        ("Sure:\n```python\nadd(a=1", True),
        ("<think>add(a=1)</think>No.", False),
        ("I would use add(a=1) if I could.", False),
        ("There is 1 (one) way(s).", False),
        ('{"tool_calls": []}', False),
        ("", False),
    ],
)
def test_what_looks_like_a_call(text: str, attempts: bool) -> None:
    assert attempts_call(text, ["add"]) is attempts


@pytest.mark.parametrize(
    "text",
    ["\n" * 60_000 + "x", "f(\n" + "\n" * 60_000 + "x", "[ " * 30_000],
    ids=["line breaks", "in a call", "lists"],
)
def test_an_answer_of_blanks_is_read_in_time_of_its_length(text: str) -> None:
    began = time.thread_time()
    assert not attempts_call(text, ["add"])
    assert time.thread_time() - began < 20, "in the square of its length it takes minutes"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('{"function": "add", "params": {"a": 1}}', "they are read with --prompt-format ChatTemplate"),
        ('[{"name": "add", "arguments": {"a": 1}}]', "they are read with --prompt-format ChatTemplate"),
        (BROKEN, ""),
    ],
    ids=["Bagel's JSON", "Hammer's JSON", "half a call"],
)
def test_the_format_that_reads_what_is_unreadable_is_named(text: str, note: str) -> None:
    answer = response(text)
    verdicts = score([task("Calls")], [answer], scorer=BuiltinScorer.BFCL, syntaxes=())
    (finding,) = diagnose(verdicts, {"t": answer}, Evidence(BuiltinScorer.BFCL, 256, syntaxes=()))
    assert (finding.kind, finding.note) == (FindingKind.UNREADABLE, note)
