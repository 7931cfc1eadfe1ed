"""The sketch of answers: how far models agree, and in which mistakes."""

from __future__ import annotations

import random

import pytest

from bitagent_crds.results import Response, Verdict
from bitagent_crds.sketches import AnswerSketch
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.answer_sketch import answer_sketch
from bitagent_evaluator.parsing import AnswerSyntax

TASKS = 600


def response(number: int, text: str) -> Response:
    return Response(id=f"t{number}", text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def sketch(texts: list[str | None], *, right: int = 0, digest: str = "sha256:1") -> AnswerSketch:
    """Return the sketch of a model whose first `right` answers are right."""
    responses = {f"t{i}": response(i, text) for i, text in enumerate(texts) if text is not None}
    verdicts = [Verdict(id=f"t{i}", category="c", passed=i < right) for i in range(len(texts))]
    tasks = {f"t{i}": task(f"t{i}") for i in range(len(texts))}
    syntaxes = [AnswerSyntax.TOOL_CALL_BLOCKS]
    return AnswerSketch.decode(
        answer_sketch(responses, verdicts, task_set_digest=digest, tasks=tasks, syntaxes=syntaxes)
    )


def task(id_: str) -> Task:
    messages = [{"role": "user", "content": "q"}]
    return Task(id=id_, source="s", category="c", messages=messages, functions=[], expects=Expects.ANY_CALL)


def answers(seed: int, *, count: int = TASKS) -> list[str | None]:
    random_ = random.Random(seed)
    return [f"[f(x={random_.random()})]" for _ in range(count)]


def blend(share: float, *, count: int = TASKS) -> list[str | None]:
    """Return answers of which this share are those of `answers(1)`, spread over the tasks."""
    random_, first, second = random.Random(3), answers(1, count=count), answers(2, count=count)
    return [a if random_.random() < share else b for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.98, 1.0])
def test_agreement_is_estimated(share: float) -> None:
    found = sketch(answers(1)).agreement(sketch(blend(share)))
    assert found == pytest.approx(share, abs=0.15 if share < 0.9 else 0.08)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_shared_mistakes_are_estimated(share: float) -> None:
    found = sketch(answers(1)).shared_mistakes(sketch(blend(share)))
    assert found == pytest.approx(share / (2 - share), abs=0.2)


def test_equal_right_answers_are_no_shared_mistakes() -> None:
    first, second = answers(1)[:500] + answers(4)[:100], answers(1)[:500] + answers(5)[:100]
    a, b = sketch(first, right=500), sketch(second, right=500)
    assert a.agreement(b) > 0.7
    assert a.shared_mistakes(b) == pytest.approx(0.0, abs=0.1)


def test_an_answer_to_many_tasks_says_nothing() -> None:
    same: list[str | None] = ["none of them"] * TASKS
    assert sketch(same).shared_mistakes(sketch(same)) is None
    assert sketch(same).agreement(sketch(same)) == 1.0


def test_missing_answers_count_as_empty() -> None:
    assert sketch([None] * 30).agreement(sketch([""] * 30)) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" [f(a='x', b=2)]\n", id="white space around"),
        pytest.param("[f( a='x',b = 2 )]", id="white space inside"),
        pytest.param('[f(a="x", b=2)]', id="other quotation marks"),
        pytest.param("<think>let me see</think>[f(a='x', b=2)]", id="thoughts"),
        pytest.param("[f(a='x', b=2,)]", id="a comma at the end"),
        pytest.param("[f(a='x', b=2)]#v2", id="a comment"),
        pytest.param("[f(a='x', b=2, *0)]", id="an argument without a name"),
        pytest.param("[f(a='x.', b=2+0)]", id="signs that scorers drop, a sum"),
        pytest.param("[f(b=2, a='X')]", id="order of arguments, case"),
        pytest.param('<tool_call>{"name": "f", "arguments": {"a": "x", "b": 2}}</tool_call>', id="another syntax"),
    ],
)
def test_layout_of_an_answer_does_not_count(text: str) -> None:
    plain: list[str | None] = ["[f(a='x', b=2)]", *answers(1, count=50)]
    assert sketch([text, *plain[1:]]) == sketch(plain)
    assert sketch(["[f(a='y', b=2)]", *plain[1:]]) != sketch(plain)


@pytest.mark.parametrize("text", ["none fits.", "None  fits", "<think>[f()]</think>none fits"])
def test_layout_of_a_text_without_calls_does_not_count(text: str) -> None:
    plain: list[str | None] = ["none fits", *answers(1, count=50)]
    assert sketch([text, *plain[1:]]) == sketch(plain)


def test_steps_of_conversations_count() -> None:
    verdicts = [Verdict(id="t0", category="c", passed=False)]
    texts = []
    for step in ("ls()", "cd()"):
        turns = response(0, "done").model_copy(update={"turns": [[step, "done"]]})
        texts.append(answer_sketch({"t0": turns}, verdicts, task_set_digest="sha256:1", tasks={"t0": task("t0")}))
    assert texts[0] != texts[1]


@pytest.mark.parametrize("count", [0, 1, 5, 384, 5000])
def test_sets_of_any_size_have_a_sketch(count: int) -> None:
    found = sketch(answers(1, count=count))
    assert len(found.encode()) <= 128
    assert found.agreement(found) == 1.0


def test_task_sets_have_sketches_of_their_own() -> None:
    assert sketch(answers(1)) != sketch(answers(1), digest="sha256:2")
