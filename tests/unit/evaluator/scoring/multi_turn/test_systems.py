"""Calls on simulated systems: worded as the leaderboard words them, and never evaluated."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import execute_multi_turn_func_call
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS, Systems

Make: TypeAlias = Callable[[], Systems]
CLASSES = ["GorillaFileSystem", "TicketAPI", "MathAPI"]

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
def test_results_are_worded_as_the_official_ones(systems: Make, state: dict[str, Any], source: str) -> None:
    calls = [source, "ls()", source]
    official, _ = execute_multi_turn_func_call(calls, state, CLASSES, f"model_{uuid.uuid4().hex}", "x_0")
    ours = systems()
    assert [ours.run(call) for call in calls] == official


def test_what_python_knows_is_unknown_here(systems: Make) -> None:
    for name in ("print", "json", "STATELESS_CLASSES", "func_call_list"):
        assert systems().run(f"{name}()") == f"Error during execution: name '{name}' is not defined"


def test_state_stays_within_one_set_of_systems(systems: Make, state: dict[str, Any]) -> None:
    one, other = systems(), systems()
    one.run("mkdir(dir_name='a')")
    assert json.loads(one.run("ls()")) == {"current_directory_content": ["a"]}
    assert json.loads(other.run("ls()")) == {"current_directory_content": []}
    assert state["GorillaFileSystem"]["root"]["home"]["contents"] == {}


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


def test_a_system_that_needs_a_network_is_refused() -> None:
    assert len(SYSTEMS) == 8
    with pytest.raises(ValueError, match="no system 'WebSearchAPI'; there are: GorillaFileSystem"):
        Systems(["WebSearchAPI"], {}, long_context=False)


CALLS = ["eval(source=\"open('{0}', 'w')\")", "open(file='{0}', mode='w')", "mkdir(dir_name=[open('{0}', 'w')])"]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_not_evaluated(systems: Make, tmp_path: Path, call: str) -> None:
    systems().run(call.format(tmp_path / "owned"))
    assert not (tmp_path / "owned").exists()


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


@given(st.one_of(TEXTS, st.text(max_size=80)))
@settings(max_examples=300, deadline=None)
def test_any_source_has_a_result(systems: Make, source: str) -> None:
    assert isinstance(systems().run(source), str)
