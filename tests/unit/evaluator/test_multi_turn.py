"""Calls on simulated systems: worded as the leaderboard words them, within limits, and nothing that a stranger writes is ever evaluated."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import execute_multi_turn_func_call
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitagent_crds.results import Conversation, Expects, Response, Task
from bitagent_evaluator.answers import AnswerError
from bitagent_evaluator.bounded.process import BoundedProcess
from bitagent_evaluator.scoring import score
from bitagent_evaluator.scoring.judgement import REFUSED
from bitagent_evaluator.scoring.multi_turn.calls import executable
from bitagent_evaluator.scoring.multi_turn.checking import FORCE_TERMINATED
from bitagent_evaluator.scoring.multi_turn.judgement import NO_TURNS, RUNAWAY, Conversations
from bitagent_evaluator.scoring.multi_turn.simulation import Runaway, Simulation
from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS, Systems

CLASSES = ["GorillaFileSystem", "TicketAPI", "MathAPI"]
STATE = {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": {}}}}}
RIGHT = [["[mkdir(dir_name='a'), cd(folder='a')]", "Done."], ["[mkdir(dir_name='b')]"]]
ENDLESS = "power(base=9.0, exponent=logarithm(value=2, base=3, precision=10000000))"
"""A call that computes for minutes."""


def conversation(**changes: Any) -> Conversation:
    content: dict[str, Any] = {
        "turns": [[], []],
        "ground_truth": [["mkdir(dir_name='a')", "cd(folder='a')"], ["mkdir('b')"]],
        "classes": CLASSES,
        "initial_state": STATE,
    }
    return Conversation.model_validate(content | changes)


def task(**changes: Any) -> Task:
    return Task(
        id="c",
        source="test",
        category="multi_turn_base",
        messages=[],
        functions=[],
        expects=Expects.STATE,
        conversation=conversation(**changes),
    )


def response(turns: list[list[str]]) -> Response:
    return Response(id="c", text="", finish_reason="stop", prompt_tokens=0, completion_tokens=0, turns=turns)


def systems() -> Systems:
    return Systems(CLASSES, STATE, long_context=False)


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with Simulation() as made:
        yield made


@pytest.fixture(scope="module")
def judge() -> Iterator[Conversations]:
    with Conversations() as made:
        yield made


HONEST = {
    "keywords": "mkdir(dir_name='a')",
    "positional": "mkdir('a')",
    "in a call": "add(a=add(a=1, b=2), b=3)",
    "in a list": "sum_values(numbers=[1, 2.5, -3])",
    "tuple": "sum_values(numbers=(1, 2))",
    "dict": "edit_ticket(ticket_id=1, updates={'title': 'x', 'priority': 2})",
    "complex": "add(a=(1-2j), b=1)",
    "unknown": "nothing(a=1)",
    "unknown in a call": "add(a=nothing(a=1), b=1)",
    "of another system": "post_tweet(content='x')",
    "dotted": "GorillaFileSystem.mkdir(dir_name='a')",
    "deeper": "os.path.join(a='b')",
    "private": "_load_scenario(scenario=1)",
    "dunder": "__init__()",
    "forbidden": "exit(code=1)",
    "forbidden and dotted": "os.remove(path='x')",
    "missing argument": "mkdir()",
    "surplus argument": "ls(folder='x')",
    "surplus positional argument": "pwd(1, 2, 3)",
    "wrong type": "mean(numbers=3)",
    "not finite": "mean(numbers=[inf])",
    "no name": "(a=1)",
    "no keyword": "mkdir(None='a')",
    "refused by the system": "cd(folder='gone')",
    "not serialisable": "logarithm(value=10, base=2, precision=5)",
    "huge": "power(base=10, exponent=5000)",
    "quotes": "echo(content='it\\'s \"x\" \\n \u00fc', file_name='new.txt')",
}


@pytest.mark.parametrize("source", HONEST.values(), ids=HONEST)
def test_results_are_worded_as_the_official_ones(source: str) -> None:
    calls = [source, "ls()", source]
    official, _ = execute_multi_turn_func_call(calls, STATE, CLASSES, f"model_{uuid.uuid4().hex}", "x_0")
    ours = systems()
    assert [ours.run(call) for call in calls] == official


def test_what_python_knows_is_unknown_here() -> None:
    for name in ("print", "json", "STATELESS_CLASSES", "func_call_list"):
        assert systems().run(f"{name}()") == f"Error during execution: name '{name}' is not defined"


def test_state_stays_within_one_set_of_systems() -> None:
    one, other = systems(), systems()
    one.run("mkdir(dir_name='a')")
    assert json.loads(one.run("ls()")) == {"current_directory_content": ["a"]}
    assert json.loads(other.run("ls()")) == {"current_directory_content": []}
    assert STATE["GorillaFileSystem"]["root"]["home"]["contents"] == {}


def test_tables_of_long_context_are_of_one_set_of_systems_too() -> None:
    state = {"TravelAPI": {"access_token": "t", "credit_card_list": {}}}
    card = "access_token='t', card_id='1234567812345678'"  # not of the state, but of the package's own table
    flight = "travel_date='2026-12-01', travel_from='SFO', travel_to='LAX', travel_class='economy'"
    one, other = (Systems(["TravelAPI"], state, long_context=True) for _ in range(2))
    before = one.run(f"get_credit_card_balance({card})")
    assert json.loads(one.run(f"book_flight({card}, {flight})"))["booking_status"] is True
    assert one.run(f"get_credit_card_balance({card})") != before
    assert other.run(f"get_credit_card_balance({card})") == before
    assert Systems(["TravelAPI"], state, long_context=True).run(f"get_credit_card_balance({card})") == before


def test_a_system_that_needs_a_network_is_none() -> None:
    assert len(SYSTEMS) == 8
    with pytest.raises(ValueError, match="no system 'WebSearchAPI'; there are: GorillaFileSystem"):
        Systems(["WebSearchAPI"], {}, long_context=False)


EXECUTABLE: dict[str, tuple[str, list[str]]] = {
    "list": ("[f(a=1), g()]", ["f(a=1)", "g()"]),
    "one": ("`f(a='x')`", ["f(a='x')"]),
    "none": ("[]", []),
    "positional arguments are dropped": ("f(1, a=2)", ["f(a=2)"]),
    "call in a call": ("f(a=g(b=1))", ["f(a=g(b=1))"]),
    "call without keywords is text": ("f(a=g(1))", ["f(a='g(1)')"]),
    "dict": ("f(a={'b': 1, 2: 'c'})", ["f(a={'b': 1, '2': 'c'})"]),
    "dict of dicts is a call": ("f(a={'b': {'c': 1}})", ["f(a=b(c=1))"]),
    "dict in a dict is a call": ("f(a={'b': {'c': {'d': 1}}, 'e': 1})", ["f(a={'b': c(d=1), 'e': 1})"]),
    "dict in a list stays": ("f(a=[{'b': {}}])", ["f(a=[{'b': {}}])"]),
}


@pytest.mark.parametrize(("text", "calls"), EXECUTABLE.values(), ids=EXECUTABLE)
def test_calls_are_written_as_the_official_decoder_writes_them(text: str, calls: list[str]) -> None:
    assert executable(text) == calls


def test_an_empty_dict_makes_an_answer_unreadable() -> None:
    with pytest.raises(AnswerError, match="empty dict"):
        executable("[f(), g(a={})]")


WORDS: dict[str, tuple[list[list[str]], str]] = {
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


@pytest.mark.parametrize(("turns", "error"), WORDS.values(), ids=WORDS)
def test_verdicts(judge: Conversations, turns: list[list[str]], error: str) -> None:
    verdict = judge.judge(task(), response(turns))
    assert (verdict.passed, verdict.score, verdict.error) == (not error, float(not error), error)
    assert bool(verdict.detail) == bool(error)


def test_results_count_where_states_are_equal(judge: Conversations) -> None:
    reading = task(turns=[[]], ground_truth=[["ls()", "pwd()"]])
    assert judge.judge(reading, response([["pwd()", "ls()"]])).passed
    assert judge.judge(reading, response([["pwd()"]])).error == "multi_turn:execution_response_mismatch"


@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch", "BitAgent202411", "BitAgent202504"])
def test_every_scorer_judges_conversations_alike(name: str) -> None:
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
def test_nothing_is_executed(judge: Conversations, tmp_path: Path, text: str) -> None:
    written = tmp_path / "owned"
    for answer in (text.format(written), f"[{text.format(written)}]"):
        judge.judge(task(), response([[answer], [answer]]))
        judge.judge(task(ground_truth=[[answer], []]), response(RIGHT))
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
def test_no_answer_takes_long(judge: Conversations, text: str) -> None:
    started = time.monotonic()
    assert not judge.judge(task(), response([[text], [text]])).passed
    assert time.monotonic() - started < 60
    assert judge.judge(task(), response(RIGHT)).passed


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
def test_any_answer_has_a_verdict(judge: Conversations, turns: list[list[str]]) -> None:
    verdict = judge.judge(task(), response(turns))
    assert verdict.passed == (verdict.error == "")


@given(st.one_of(TEXTS, st.text(max_size=80)))
@settings(max_examples=300, deadline=None)
def test_any_source_has_a_result(source: str) -> None:
    assert isinstance(systems().run(source), str)


def test_a_step_is_executed_after_those_before_it(simulation: Simulation) -> None:
    steps = [["mkdir(dir_name='a')"], ["cd(folder='a')", "pwd()"]]
    assert simulation.execute(conversation(), steps[:1]) == ["None"]
    assert simulation.execute(conversation(), steps)[1] == '{"current_working_directory": "/home/a"}'
    assert simulation.execute(conversation(), [["pwd()"]]) == ['{"current_working_directory": "/home"}']


def test_a_runaway_harms_no_other_conversation(simulation: Simulation) -> None:
    with pytest.raises(Runaway, match="processor time"):
        simulation.execute(conversation(), [[ENDLESS]])
    assert simulation.execute(conversation(), [["mkdir(dir_name='a')"], ["ls()"]]) == [
        '{"current_directory_content": ["a"]}'
    ]


def test_a_child_that_is_killed_from_outside_is_replaced(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = BoundedProcess.call

    def call(self: BoundedProcess, *args: Any, **options: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            os.kill(self._child.pid, signal.SIGKILL)
        return real(self, *args, **options)

    monkeypatch.setattr(BoundedProcess, "call", call)
    assert simulation.execute(conversation(), [["pwd()"]]) == ['{"current_working_directory": "/home"}']
    assert len(calls) == 2
