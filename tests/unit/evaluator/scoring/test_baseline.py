"""The best constant answer: which one it is, by which rule, and for losses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, LossNormalization, LossParameters
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.scoring.baseline import BYTES, CALL, COMMONEST, EMPTY_LIST, REFUSAL, SILENCE, baseline

FUNCTION: dict[str, Any] = {
    "name": "f",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


def task(index: int, expects: Expects = Expects.CALLS, value: int = 1, **changes: Any) -> Task:
    content = {
        "id": f"t{index}",
        "source": "jsonl",
        "category": "c",
        "messages": [{"role": "user", "content": "?"}],
        "functions": [FUNCTION],
        "expects": expects,
        "ground_truth": [{"f": {"a": [value]}}] if expects is Expects.CALLS else None,
    }
    return Task(**content | changes)


def some(*kinds: Expects, **changes: Any) -> list[Task]:
    return [task(index, kind, value=index, **changes) for index, kind in enumerate(kinds)]


CALLS, NO_CALL, ANY_CALL = Expects.CALLS, Expects.NO_CALL, Expects.ANY_CALL


@pytest.mark.parametrize(
    ("scorer", "tasks", "expected"),
    [
        pytest.param("Bfcl", some(CALLS, NO_CALL, NO_CALL, CALLS), (SILENCE, "0.500000"), id="saying nothing"),
        pytest.param(
            "Bfcl", some(CALLS, ANY_CALL, ANY_CALL), (COMMONEST, "1.000000"), id="a call, by the official rule"
        ),
        pytest.param("Bfcl", some(ANY_CALL, ANY_CALL, NO_CALL), (CALL, "0.666667"), id="any text that is a call"),
        pytest.param("BfclStrict", some(ANY_CALL, ANY_CALL, NO_CALL), (SILENCE, "0.333333"), id="a call that fits"),
        pytest.param(
            "BitAgent202504", some(NO_CALL, CALLS), (REFUSAL, "0.500000"), id="empty text is not a refusal there"
        ),
        pytest.param("Bfcl", [task(n, value=n // 2) for n in range(4)], (COMMONEST, "0.500000"), id="one for many"),
        pytest.param(
            "ExactMatch", [task(n, value=n // 3) for n in range(4)], (COMMONEST, "0.750000"), id="exactly one"
        ),
    ],
)
def test_the_best_constant(scorer: str, tasks: list[Task], expected: tuple[str, str]) -> None:
    if expected[1] == "1.000000":  # The right answer of the one task is right for all.
        tasks = [task(0, CALLS), *tasks[1:]]
    found = baseline(tasks, scorer=scorer)
    assert found is not None
    assert (found.answer, found.score, found.scorer, found.loss) == (*expected, scorer, None)


def test_kinds_weigh_equally_where_the_round_says_so() -> None:
    tasks = some(CALLS, CALLS, CALLS, NO_CALL)
    found = baseline(tasks, scorer="Bfcl", aggregation=Aggregation.KINDS)
    assert found is not None
    assert (found.score, found.aggregate) == ("0.500000", Aggregation.KINDS)


def test_a_conversation_is_not_passed_by_silence() -> None:
    talk = Conversation(
        turns=[[{"role": "user", "content": "list"}]],
        ground_truth=[["ls()"]],
        classes=["GorillaFileSystem"],
        initial_state={"GorillaFileSystem": {"root": {"workspace": {"type": "directory", "contents": {}}}}},
    )
    tasks = [task(0, Expects.STATE, conversation=talk), task(1, NO_CALL)]
    found = baseline(tasks, scorer="Bfcl")
    assert found is not None
    assert found.score == "0.500000"


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_source_languages_are_scored_by_their_own_right_answer(language: Language) -> None:
    parameters = {"type": "dict", "properties": {"name": {"type": "String"}}, "required": ["name"]}
    changes = {
        "functions": [{"name": "getUser", "parameters": parameters}],
        "ground_truth": [{"getUser": {"name": ["x"]}}],
    }
    found = baseline([task(n, language=language, **changes) for n in range(2)], scorer="Bfcl")
    assert found is not None
    assert (found.answer, found.score) == (COMMONEST, "1.000000")


def test_names_are_words_for_people() -> None:
    assert len({SILENCE, EMPTY_LIST, REFUSAL, CALL, COMMONEST, BYTES}) == 6


def test_nothing_has_no_baseline() -> None:
    assert baseline([], scorer="Bfcl") is None
    texts = [task(0, Expects.TEXT, reference="a")]
    per_token = LossParameters(normalization=LossNormalization.TOKEN)
    assert baseline(texts, scorer=BuiltinScorer.LOSS, loss=per_token) is None, "it depends on a tokenizer"
    assert baseline([*texts, task(1)], scorer=BuiltinScorer.LOSS) is None, "one cannot be measured"


TEXTS = st.lists(st.text("abé ", min_size=1, max_size=30), min_size=1, max_size=6)


@given(texts=TEXTS, weights=st.lists(st.floats(0.01, 1.0), min_size=256, max_size=256))
@settings(max_examples=50, deadline=None)
def test_no_distribution_over_bytes_is_better_than_the_baseline_of_losses(
    texts: list[str], weights: list[float]
) -> None:
    found = baseline([task(n, Expects.TEXT, reference=text) for n, text in enumerate(texts)], scorer="Loss")
    assert found is not None and found.loss is not None
    assert (found.answer, found.loss_parameters) == (BYTES, LossParameters().settled())
    total = math.fsum(weights)
    other = math.fsum(
        math.fsum(-math.log(weights[byte] / total) for byte in text.encode()) / len(text.encode()) for text in texts
    ) / len(texts)
    assert float(found.loss) <= other + 1e-6
    assert float(found.loss) <= math.log(256)


def test_only_what_is_measured_of_a_reference_counts() -> None:
    tasks = [task(0, Expects.TEXT, reference="aaaabbbb")]
    whole, cut = (baseline(tasks, scorer="Loss", loss=LossParameters(reference_bytes=n)) for n in (8, 4))
    assert whole is not None and cut is not None
    assert (whole.loss, cut.loss, cut.score) == (f"{math.log(2):.6f}", "0.000000", "1.000000")
