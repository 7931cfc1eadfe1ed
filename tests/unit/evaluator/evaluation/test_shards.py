"""Tasks shared out between processes: the bytes of the result are those of one process."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluator.evaluation.pretended import (
    Killed,
    PretendedBackend,
    Recorded,
    changed,
    files,
    run,
    task,
)

from bitagent_crds.conditions import Reason
from bitagent_crds.results import Unanswered
from bitagent_crds.task_forms import BuiltinPromptFormat, MemoryBackend
from bitagent_crds.task_set import Memory, Task
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.evaluation.run import evaluate_shard
from bitagent_evaluator.evaluation.shards import Shard
from bitagent_evaluator.support.faults import ModelFault

if TYPE_CHECKING:
    from bitagent_evaluator.evaluation.prepared import Evaluation

MEMORIES = [
    Memory(backend=backend, scenario=scenario, answers=["x"])
    for backend in (MemoryBackend.KV, MemoryBackend.VECTOR)
    for scenario in ("a", "b")
]


def shard(evaluation: Evaluation, index: int, count: int, backend: PretendedBackend) -> Evaluated | int:
    return evaluate_shard(evaluation, Shard(index, count), backend, Recorded())


@given(st.lists(st.sampled_from([None, *MEMORIES]), max_size=40), st.integers(2, 9))
def test_each_task_is_in_one_shard_and_a_memory_is_whole(memories: list[Memory | None], count: int) -> None:
    tasks: list[Task] = [task(n).model_copy(update={"memory": memory}) for n, memory in enumerate(memories)]
    parts = [Shard(index, count).task_ids(tasks) for index in range(count)]
    assert Counter(task_id for part in parts for task_id in part) == Counter(each.id for each in tasks)
    for memory in MEMORIES:
        ids = {each.id for each in tasks if each.memory == memory}
        assert sum(bool(ids & part) for part in parts) <= 1
    if not any(memories):
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("tasks", "order"),
    [
        pytest.param(10, [0, 1], id="two"),
        pytest.param(10, [2, 0, 1], id="three in another order"),
        pytest.param(2, [0, 1, 2], id="more than tasks"),
    ],
)
def test_the_last_shard_writes_the_bytes_of_one_process(
    evaluation: Evaluation, models: Path, tmp_path: Path, tasks: int, order: list[int]
) -> None:
    evaluation = replace(evaluation, tasks=evaluation.tasks[:tasks])
    whole, _ = run(replace(evaluation, out_dir=tmp_path / "whole"), models)
    backends = [PretendedBackend(models) for _ in order]
    *others, last = [
        shard(evaluation, index, len(order), backend) for index, backend in zip(order, backends, strict=True)
    ]
    assert [type(each) for each in others] == [int] * len(others)
    assert not isinstance(last, int)
    assert (last.result_digest, last.aggregate, last.answer_sketch) == (
        whole.result_digest,
        whole.aggregate,
        whole.answer_sketch,
    )
    assert files(evaluation.out_dir) == files(tmp_path / "whole")
    asked = Counter(request.key for backend in backends for engine in backend.engines for request in engine.asked)
    assert asked == Counter(f"t{number}" for number in range(tasks)), "each once; a shard without tasks loads no engine"


def test_a_shard_that_was_killed_resumes_and_the_result_waits_for_it(evaluation: Evaluation, models: Path) -> None:
    with pytest.raises(Killed):
        shard(evaluation, 0, 2, PretendedBackend(models, dies_after=2))
    assert shard(evaluation, 1, 2, PretendedBackend(models)) == 5
    again = PretendedBackend(models)
    last = shard(evaluation, 0, 2, again)
    assert not isinstance(last, int) and last.aggregate.total == 10
    assert [len(engine.asked) for engine in again.engines] == [3]


def test_one_that_repeats_the_end_has_the_same_result(evaluation: Evaluation, models: Path) -> None:
    """As if the last pod was lost after it had written the results and before its Job knew."""
    shard(evaluation, 0, 2, PretendedBackend(models))
    first = shard(evaluation, 1, 2, PretendedBackend(models))
    backend = PretendedBackend(models)
    second = shard(evaluation, 1, 2, backend)
    assert not isinstance(first, int) and not isinstance(second, int)
    assert (second.result_digest, backend.engines) == (first.result_digest, [])


def test_shards_that_end_at_once(evaluation: Evaluation, models: Path) -> None:
    barrier = threading.Barrier(3)

    def one(index: int) -> Evaluated | int:
        barrier.wait()
        return shard(evaluation, index, 3, PretendedBackend(models))

    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(one, range(3)))
    results = [end for end in ends if not isinstance(end, int)]
    assert results and {each.aggregate.total for each in results} == {10}


def test_answers_to_other_inputs_are_not_taken(evaluation: Evaluation, models: Path) -> None:
    shard(evaluation, 0, 2, PretendedBackend(models))
    other = changed(evaluation, max_tokens=31)
    assert shard(other, 1, 2, PretendedBackend(models)) == 5
    assert isinstance(shard(other, 0, 2, PretendedBackend(models)), Evaluated)


@pytest.mark.usefixtures("sandboxes_apart")
def test_prompts_that_differ_between_processes_are_the_models_fault(
    evaluation: Evaluation, models: Path, tmp_path: Path
) -> None:
    """No shard would take the answers of the others, so that a miner could have a round fail."""
    model = tmp_path / "model"
    shutil.copytree(evaluation.model_dir, model)
    template = model / "chat_template.jinja"
    template.write_text("{{ (raise_exception | string)[-10:-1] }}" + template.read_text())
    hostile = changed(replace(evaluation, model_dir=model), prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE)
    assert shard(hostile, 0, 2, PretendedBackend(models)) == 5
    with pytest.raises(ModelFault) as fault:
        shard(hostile, 1, 2, PretendedBackend(models))
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


def test_prompts_of_an_earlier_attempt_that_differ_prove_nothing(
    evaluation: Evaluation, models: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(evaluation.model_dir, model)
    evaluation = changed(replace(evaluation, model_dir=model), prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE)
    shard(evaluation, 0, 2, PretendedBackend(models))
    template = model / "chat_template.jinja"
    template.write_text("Hello! " + template.read_text())
    assert shard(evaluation, 1, 2, PretendedBackend(models)) == 5
    assert isinstance(shard(evaluation, 0, 2, PretendedBackend(models)), Evaluated)


def test_the_budget_of_tokens_is_that_of_one_process(evaluation: Evaluation, models: Path, tmp_path: Path) -> None:
    bounded = changed(evaluation, mean_answer_tokens=3)
    whole, _ = run(replace(bounded, out_dir=tmp_path / "whole"), models)
    assert whole.unanswered[Unanswered.BUDGET_EXCEEDED]
    shard(bounded, 0, 2, PretendedBackend(models))
    last = shard(bounded, 1, 2, PretendedBackend(models))
    assert not isinstance(last, int) and last.unanswered == whole.unanswered
    assert files(bounded.out_dir) == files(tmp_path / "whole")


def test_tasks_that_a_shard_had_no_time_for_are_named(evaluation: Evaluation, models: Path) -> None:
    bounded = changed(evaluation, generate_seconds=60)
    ticks = iter(range(0, 100_000, 25))
    late = evaluate_shard(bounded, Shard(0, 2), PretendedBackend(models), Recorded(), clock=lambda: float(next(ticks)))
    assert isinstance(late, int) and late < 5
    last = shard(bounded, 1, 2, PretendedBackend(models))
    assert not isinstance(last, int)
    assert last.unanswered == {Unanswered.TIME_EXCEEDED: 5 - late}
