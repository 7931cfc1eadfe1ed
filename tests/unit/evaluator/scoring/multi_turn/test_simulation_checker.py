"""Verdicts on conversations: the leaderboard's, within limits, whatever the answers hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitagent_evaluator.scoring.base import REFUSED
from bitagent_evaluator.scoring.multi_turn.simulation import NO_TURNS, RUNAWAY, ConversationChecker
from bitagent_evaluator.scoring.multi_turn.worker import FORCE_TERMINATED
from bitagent_evaluator.scoring.scorers import score

RIGHT = [["[mkdir(dir_name='a'), cd(folder='a')]", "Done."], ["[mkdir(dir_name='b')]"]]
ENDLESS = "power(base=9.0, exponent=logarithm(value=2, base=3, precision=10000000))"
"""A call that computes for minutes."""


@pytest.fixture(scope="module")
def checker() -> Iterator[ConversationChecker]:
    with ConversationChecker() as made:
        yield made


TURNS: dict[str, tuple[list[list[str]], str]] = {
    "right": (RIGHT, ""),
    "a step each": ([["mkdir(dir_name='a')", "cd(folder='a')"], ["mkdir(dir_name='b')", "ls()"]], ""),
    "another state": ([["mkdir(dir_name='z'), cd(folder='z')"], RIGHT[1]], "multi_turn:instance_state_mismatch"),
    "a result is missing": ([["mkdir(dir_name='a')"], RIGHT[1]], "multi_turn:execution_response_mismatch"),
    "nothing said": ([RIGHT[0], []], "multi_turn:empty_turn_model_response"),
    "unreadable": ([RIGHT[0], ["mkdir(dir_name='b'"]], "multi_turn:empty_turn_model_response"),
    "too few turns": (RIGHT[:1], FORCE_TERMINATED),
    "too many turns": ([*RIGHT, ["Done."]], FORCE_TERMINATED),
    "no turns": ([], NO_TURNS),
    "refused": ([[*RIGHT[0], "ls(a=1+__import__('os').getpid())"], RIGHT[1]], REFUSED),
    "too long": ([[*RIGHT[0], "x" * (1 << 20)], RIGHT[1]], REFUSED),
    "endless": ([RIGHT[0], [ENDLESS]], RUNAWAY),
}


@pytest.mark.parametrize(("turns", "error"), TURNS.values(), ids=TURNS)
def test_verdicts(checker: ConversationChecker, task: Any, parsed: Any, turns: list[list[str]], error: str) -> None:
    verdict = checker.check(task(), parsed(turns))
    assert (verdict.passed, verdict.score, verdict.error) == (not error, float(not error), error)
    assert bool(verdict.detail) == bool(error)


def test_results_count_where_states_are_equal(checker: ConversationChecker, task: Any, parsed: Any) -> None:
    reading = task(turns=[[]], ground_truth=[["ls()", "pwd()"]])
    assert checker.check(reading, parsed([["pwd()", "ls()"]])).passed
    assert checker.check(reading, parsed([["pwd()"]])).error == "multi_turn:execution_response_mismatch"


@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch", "BitAgent202411", "BitAgent202504"])
def test_every_scorer_checks_conversations_alike(task: Any, response: Any, name: str) -> None:
    passed, failed = task(), task().model_copy(update={"id": "d"})
    wrong = response(RIGHT[:1]).model_copy(update={"id": "d"})
    verdicts = score([passed, failed], [response(RIGHT), wrong], scorer=name)
    assert [(verdict.passed, verdict.error) for verdict in verdicts] == [(True, ""), (False, FORCE_TERMINATED)]


HOSTILE = [
    "mkdir(dir_name=__import__('os').system('touch {0}'))",
    "edit_ticket(updates={{'a': 1, \"x': __import__('os').system('touch {0}'), 'y\": 2}})",
    "edit_ticket(updates={{\"__import__('os').system\": {{'command': 'touch {0}'}}}})",
    "mkdir.__globals__['os'].system(command='touch {0}')",
    "open(file='{0}', mode='w')",
    "eval(source=\"open('{0}', 'w')\")",
    "mkdir(dir_name=[open('{0}', 'w')])",
    "mkdir(dir_name=(lambda: open('{0}', 'w'))())",
    "mkdir(dir_name=f\"{{open('{0}', 'w')}}\")",
    "add(a=1 + open('{0}', 'w').fileno(), b=1)",
    "touch(file_name='{0}')",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_executed(
    checker: ConversationChecker, task: Any, parsed: Any, systems: Any, tmp_path: Path, text: str
) -> None:
    written = tmp_path / "owned"
    for answer in (text.format(written), f"[{text.format(written)}]"):
        checker.check(task(), parsed([[answer], [answer]]))
        checker.check(task(ground_truth=[[answer], []]), parsed(RIGHT))
        systems().run(answer)
    assert not written.exists()


HEAVY = {
    "power": "add(a=9**9**9, b=1)",
    "power by a call": "power(base=9, exponent=power(base=9, exponent=9))",
    "digits": "square_root(number=2, precision=100000000)",
    "deep": "f(a=" + "[" * 5000 + "]" * 5000 + ")",
    "deep calls": "add(a=" * 100 + "1" + ", b=1)" * 100,
    "deep dicts": "edit_ticket(updates=" + "{'a': " * 60 + "1" + "}" * 60 + ")",
    "megabyte": "mkdir(dir_name='" + "x" * (1 << 20) + "')",
    "many calls": "[" + ", ".join(["ls()"] * 10_000) + "]",
    "memory": "mkdir(dir_name='x' * 10**12)",
}


@pytest.mark.parametrize("text", HEAVY.values(), ids=HEAVY)
def test_no_answer_takes_long(checker: ConversationChecker, task: Any, parsed: Any, text: str) -> None:
    started = time.monotonic()
    assert not checker.check(task(), parsed([[text], [text]])).passed
    assert time.monotonic() - started < 60
    assert checker.check(task(), parsed(RIGHT)).passed


TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="abcdls()[]{}'\"=,.*1 \n", max_size=60),
    st.sampled_from(["ls", "mkdir", "cd", "echo", "add", "edit_ticket", "__init__"]).flatmap(
        lambda name: st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ).map(lambda value: f"[{name}(a={value!r})]")
    ),
)


@given(st.lists(st.lists(TEXTS, max_size=3), max_size=3))
@example([["edit_ticket(updates={\"a': 1, 'b\": 2})"]])
@settings(max_examples=150, deadline=None)
def test_any_answer_has_a_verdict(checker: ConversationChecker, task: Any, parsed: Any, turns: list[list[str]]) -> None:
    verdict = checker.check(task(), parsed(turns))
    assert verdict.passed == (verdict.error == "")
