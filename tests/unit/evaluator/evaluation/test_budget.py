"""Which answers count: the budget of tokens by the order of the tasks, and the time."""

from __future__ import annotations

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.results import Response, Unanswered
from bitagent_evaluator.evaluation.budget import Budget, Meter, count_within
from bitagent_evaluator.support.faults import InfrastructureFault

RUN = RunSpec(repo="m", task_set_digest="sha256:" + "1" * 64, max_tokens=8)


def response(task_id: str, tokens: int) -> Response:
    return Response(id=task_id, text="x", finish_reason="stop", prompt_tokens=1, completion_tokens=tokens)


class Hands:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("tokens", "budget", "count"),
    [
        pytest.param({"a": 9, "b": 9, "c": 9}, None, 3, id="no budget"),
        pytest.param({"a": 5, "b": 5, "c": 5}, 15, 3, id="spent with the last task"),
        pytest.param({"a": 5, "b": 5, "c": 5}, 11, 3, id="the task that spends the last tokens counts"),
        pytest.param({"a": 5, "b": 5, "c": 5}, 10, 2, id="nothing is left for the last task"),
        pytest.param({"a": 99, "b": 1, "c": 1}, 10, 1, id="the first spends all"),
        pytest.param({"c": 99}, 10, 3, id="later tasks cost earlier ones nothing"),
        pytest.param({}, 0, 0, id="nothing to spend"),
    ],
)
def test_tasks_count_in_order_until_the_tokens_are_spent(
    tokens: dict[str, int], budget: int | None, count: int
) -> None:
    assert count_within(["a", "b", "c"], tokens, budget) == count


def test_the_budget_is_the_mean_times_the_tasks() -> None:
    run = RUN.model_copy(update={"mean_answer_tokens": 7, "generate_seconds": 60})
    assert Budget.of(run, 100) == Budget(tokens=700, seconds=60)
    assert Budget.of(RUN, 100) == Budget()


def test_what_is_done_again_in_the_name_of_an_answered_task_counts_once() -> None:
    """Conversations of a memory are held in the name of its first question, also for others that lack an answer."""
    meter = Meter(["a", "b", "c"], Budget(tokens=10), {"a": 8})
    assert meter.hopeless(meter.order, {"a": 8}) == set()
    meter.add("a", 7)
    assert meter.hopeless(meter.order) == set() and meter.progressed
    meter.add("b", 2)
    assert meter.hopeless(meter.order) == {"c"}


def test_what_is_generating_counts_towards_the_budget() -> None:
    meter = Meter(["a", "b", "c"], Budget(tokens=10))
    meter.add("a", 4)
    assert meter.hopeless(meter.order) == set()
    assert meter.hopeless(meter.order, {"a": 3, "b": 2}) == set(), "nine of ten"
    assert meter.hopeless(meter.order, {"a": 3, "b": 3}) == {"c"}
    assert meter.hopeless(meter.order, {"c": 99}) == set()
    meter.add("a", 6)
    assert meter.hopeless(meter.order) == {"b", "c"}
    assert meter.left({"a"}) == []


def test_settling_keeps_what_counts_and_names_the_cause_of_the_rest() -> None:
    meter = Meter(["a", "b", "c"], Budget(tokens=10))
    answers = {task_id: response(task_id, 5) for task_id in "cba"}
    kept, why = meter.settle(answers)
    assert (list(kept), {task_id: task.cause for task_id, task in why.items()}) == (
        ["a", "b"],
        {"c": Unanswered.BUDGET_EXCEEDED},
    )
    again, same = Meter(["a", "b", "c"], Budget(tokens=10)).settle(kept)
    assert (again, same) == (kept, why), "the answers that count show that the others do not"
    more, nothing = Meter(["a", "b", "c"], Budget(tokens=11)).settle(answers)
    assert (len(more), nothing) == (3, {})


def test_time_adds_up_over_attempts() -> None:
    clock = Hands()
    meter = Meter(["a", "b"], Budget(seconds=60), earlier_seconds=50, clock=clock)
    meter.start()
    meter.add("a", 1)
    clock.now = 9.0
    assert (meter.out_of_time, meter.seconds) == (False, 59.0)
    clock.now = 10.0
    assert meter.out_of_time and meter.left({"a"}) == []
    _, why = meter.settle({"a": response("a", 1)})
    assert {task_id: task.cause for task_id, task in why.items()} == {"b": Unanswered.TIME_EXCEEDED}


def test_time_that_is_over_starts_nothing() -> None:
    meter = Meter(["a"], Budget(seconds=60), earlier_seconds=60, clock=Hands())
    assert meter.left([]) == []
    assert meter.settle({})[1]["a"].cause is Unanswered.TIME_EXCEEDED


def test_an_engine_that_generates_nothing_is_no_slow_model() -> None:
    clock = Hands()
    meter = Meter(["a"], Budget(seconds=60), earlier_seconds=5, clock=clock)
    meter.start()
    clock.now = 100.0
    with pytest.raises(InfrastructureFault) as fault:
        assert not meter.out_of_time
    assert fault.value.reason is Reason.ENGINE_STALLED
    assert meter.seconds == 5, "the next attempt has all the time that this one had"
    meter.hopeless(meter.order, {"a": 1})
    assert meter.out_of_time and meter.seconds == 105, "a first token shows a slow model"
