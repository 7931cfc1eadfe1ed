"""Which answers are checked in this process, and which in a sandbox."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import AnswerSyntax, ParsedResponse, parse_response
from bitagent_evaluator.scoring.sandboxed import SandboxedRule
from bitagent_evaluator.scoring.scorers import load_scorer


def task(language: Language, task_id: str = "t", expects: Expects = Expects.CALLS) -> Task:
    properties = {"a": {"type": "string" if language is Language.PYTHON else "String"}}
    parameters = {"type": "dict", "properties": properties, "required": ["a"]}
    return Task(
        id=task_id,
        source="jsonl",
        category="mine",
        messages=[{"role": "user", "content": "?"}],
        functions=[{"name": "Greeter.greet", "parameters": parameters}],
        language=language,
        expects=expects,
        ground_truth=[{"Greeter.greet": {"a": ["x"]}}] if expects is Expects.CALLS else None,
    )


def parsed(asked: Task, text: str, *syntaxes: AnswerSyntax) -> tuple[Task, ParsedResponse]:
    return asked, parse_response(text_response(asked, text), syntaxes or [AnswerSyntax.PYTHON], asked.language)


def verdicts(name: str, answers: Iterable[tuple[Task, ParsedResponse]]) -> list[Verdict]:
    return list(load_scorer(name).verdicts(answers))


class Sandboxed(Exception):
    """A sandbox was asked."""


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every check in a sandbox raise Sandboxed."""

    def check(self: SandboxedRule, task: Task, text: str) -> Verdict:
        raise Sandboxed

    monkeypatch.setattr(SandboxedRule, "check", check)


@pytest.mark.usefixtures("no_sandbox")
@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch"])
@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_calls_in_other_languages_are_checked_in_a_sandbox(name: str, language: Language) -> None:
    """Some texts keep the official conversion busy without end, and nothing would stop it here."""
    with pytest.raises(Sandboxed):
        verdicts(name, [parsed(task(language), 'Greeter.greet(a="x")')])


@pytest.mark.usefixtures("no_sandbox")
@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch"])
@pytest.mark.parametrize(
    "asked", [task(Language.PYTHON), task(Language.JAVA, expects=Expects.NO_CALL)], ids=["Python", "no call"]
)
def test_other_answers_are_checked_here(name: str, asked: Task) -> None:
    (verdict,) = verdicts(name, [parsed(asked, "Greeter.greet(a='y')")])
    assert not verdict.passed


@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch"])
def test_a_mix_of_languages_and_syntaxes_stays_in_order(name: str) -> None:
    call, other = '{"name": "Greeter.greet", "arguments": {"a": "x"}}', '[Greeter.greet(a="y")]'
    languages = [Language.JAVA, Language.PYTHON, Language.JAVASCRIPT] * 2
    answers = [
        parsed(task(language, str(i)), call if i < 4 else other, AnswerSyntax.JSON_LIST)
        for i, language in enumerate(languages)
    ]
    assert [(v.id, v.passed) for v in verdicts(name, answers)] == [(str(i), i < 4) for i in range(6)]
