"""Calls of conversations in a sandbox: independent requests, and a process that may end in any of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bitagent_evaluator.scoring.multi_turn.simulation import Runaway, Simulation

ENDLESS = "power(base=9.0, exponent=logarithm(value=2, base=3, precision=10000000))"
"""A call that computes for minutes."""


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with Simulation() as made:
        yield made


def test_a_step_is_executed_after_those_before_it(simulation: Simulation, conversation: Any) -> None:
    steps = [["mkdir(dir_name='a')"], ["cd(folder='a')", "pwd()"]]
    assert simulation.execute(conversation(), steps[:1]) == ["None"]
    assert simulation.execute(conversation(), steps)[1] == '{"current_working_directory": "/home/a"}'
    assert simulation.execute(conversation(), [["pwd()"]]) == ['{"current_working_directory": "/home"}']


def test_a_runaway_harms_no_other_conversation(simulation: Simulation, conversation: Any) -> None:
    with pytest.raises(Runaway, match="processor time"):
        simulation.execute(conversation(), [[ENDLESS]])
    assert simulation.execute(conversation(), [["mkdir(dir_name='a')"], ["ls()"]]) == [
        '{"current_directory_content": ["a"]}'
    ]


def test_a_process_that_was_killed_is_replaced(simulation: Simulation, conversation: Any) -> None:
    for _ in range(2):
        assert simulation.execute(conversation(), [["pwd()"]]) == ['{"current_working_directory": "/home"}']
        assert simulation.sandbox.pid is not None
        os.kill(simulation.sandbox.pid, signal.SIGKILL)
