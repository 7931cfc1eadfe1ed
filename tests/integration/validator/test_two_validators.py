"""Two Validators of one subnet with the same competition, in two namespaces, with hotkeys of their own.

Each has its own round, and its own operator, who builds that round's tasks and has the same models answer them. The
task sets, answers and verdicts are real; the models are functions of a task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import parse_response
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import expected_calls
from bitagent_evaluator.scoring.scorers import aggregate, load_scorer
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import read_tasks
from bitagent_local.chain import keys

pytestmark = pytest.mark.integration

U16 = 65535
BOUNDARY, FREEZE, FINALITY = 150, 40, 3
"""The epoch begins at a block that the chain reaches only when the test makes it."""
# The first one has the majority alone, so that its row is the consensus. Of two equal ones each would have it.
NEURONS = [
    {"hotkey": "//Validator", "stake": 10_000, "permit": True},
    {"hotkey": "//Second", "stake": 8_000, "permit": True},
    *({"hotkey": f"//{name}"} for name in ("a", "b", "c", "d")),
]
SKILLS = {"a": 85, "b": 60, "c": 35}
"""Of a hundred questions, those that a miner's model can answer; one has no model."""
OTHER_WORDS = " Kindly."
PACE = Event()
"""Never set: one waits for it between two looks."""
TASKS = {
    "sources": [{"bfcl": {"categories": ["multiple", "simple_python"]}}],
    "count": 120,
    "alterations": [{"distractorTools": {}}, {"irrelevance": {"percent": 20}}, {"toolShuffle": {}}],
}


def hardness(task: Task) -> int:
    """Of a hundred, how many questions are easier to all models."""
    asked = hashlib.sha256(str(task.messages[-1]["content"]).removesuffix(OTHER_WORDS).encode()).digest()
    return int.from_bytes(asked[:4], "big") % 100


def answer(task: Task, skill: int) -> str:
    """A model's answer: right for the questions that it can answer, whatever the order of the functions."""
    otherwise = str(task.messages[-1]["content"]).endswith(OTHER_WORDS)
    if (hardness(task) < skill) is otherwise:
        return "I cannot say."
    return "[]" if task.expects is Expects.NO_CALL else render_calls(expected_calls(task))


def verdicts(tasks: list[Task], skill: int) -> Iterator[Verdict]:
    answered = ((task, parse_response(text_response(task, answer(task, skill)))) for task in tasks)
    return load_scorer(BuiltinScorer.BFCL).verdicts(answered)


def worded_otherwise(tasks: list[Task]) -> list[Task]:
    """Tasks of which another rewriter words one otherwise: what a model could answer it now cannot, and the reverse.

    So one verdict of 120 differs for each model; measured was one of 300 (docs/decisions/042-several-validators.md).
    """
    # Not one that all models, or none, could answer: their scores would move together, and the shares hardly. Nor one
    # where no call is right: all answers without a call pass.
    chosen = next(
        number
        for number, task in enumerate(tasks)
        if SKILLS["c"] <= hardness(task) < SKILLS["a"] and task.expects is not Expects.NO_CALL
    )
    task = tasks[chosen]
    last = {**task.messages[-1], "content": f"{task.messages[-1]['content']}{OTHER_WORDS}"}
    reworded = task.model_copy(update={"messages": [*task.messages[:-1], last]})
    return [*tasks[:chosen], reworded, *tasks[chosen + 1 :]]


def evaluate(world: Any, folder: Path, *, reworded: bool) -> tuple[str, dict[str, list[Verdict]]]:
    """Be the operator of one namespace, from the published seed to a complete round; digest and verdicts."""
    (round_,) = world.rounds()
    world.wait_seed(round_)
    (round_,) = world.rounds()
    manifest = build_task_set(Tasks.model_validate(round_["spec"]["tasks"]), files={}, out=folder)
    tasks = worded_otherwise(read_tasks(folder)) if reworded else read_tasks(folder)
    judged = {name: list(verdicts(tasks, skill)) for name, skill in SKILLS.items()}
    world.complete(round_, {name: aggregate(each, seed=None).score for name, each in judged.items()})
    return manifest.digest, judged


def begin(world: Any) -> None:
    """Be the operator until the round's set is frozen; a validator that connected just now needs another block."""
    while not (rounds := world.rounds()):
        world.chain.post("blocks", count=1)
        PACE.wait(1)
    world.freeze(rounds[0])


@pytest.mark.parametrize(
    ("shared", "rewriters"),
    [
        pytest.param(True, False, id="with one key"),
        pytest.param(False, False, id="with keys of their own"),
        pytest.param(True, True, id="with one key and rewriters of their own"),
    ],
)
def test_two_validators(
    start_world: Callable[..., Any], eventually: Callable[..., Any], tmp_path: Path, shared: bool, rewriters: bool
) -> None:
    """The same tasks, verdicts and weights with `tasks.secretRef`; without it, weights that differ by chance.

    A question that the second one's rewriter words otherwise changes a verdict of each model, and costs it some trust.
    """
    template = {"models": {"matchLabels": {}}, "tasks": TASKS}
    if shared:
        template = template | {"tasks": TASKS | {"secretRef": {"name": "seeds", "key": "key"}}}
    schedule = {"everyBlocks": 1000, "offset": BOUNDARY, "freezeBlocks": FREEZE}
    spec: Any = {"competition": {"round": template, "schedule": schedule}}
    first = start_world(chain={"seeded": {"neurons": NEURONS}}, **spec)
    worlds = [first, start_world(beside=first, uri="//Second", **spec)]
    chain, folder = first.chain, tmp_path / "seeds"
    folder.mkdir()
    (folder / "fc").write_text("5f" * 32)
    for world in worlds:
        world.start("pod-1", "--seeds-dir", str(folder), "--stall-seconds", "600")
    for world in worlds:
        eventually(lambda w=world: w.condition("ChainConnected")[0] == "True", what="the chain is read")
    # From here the blocks are made one by one, however busy this machine is.
    chain.post("faults", stall_blocks=True)
    chain.post("blocks", count=BOUNDARY + FINALITY + 1 - chain.state()["block"])
    for world in worlds:
        begin(world)
    chain.post("blocks", count=FREEZE + FINALITY)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(evaluate, worlds[0], tmp_path / "one", reworded=False)
        two = pool.submit(evaluate, worlds[1], tmp_path / "two", reworded=rewriters)
        (digest, own), (other_digest, other) = one.result(), two.result()
    chain.post("faults", stall_blocks=False)
    for world in worlds:
        eventually(lambda w=world: w.condition("WeightsCurrent") == ("True", "WeightsSet"), what="weights are set")
    chain.post("epoch", after=1)
    epoch = chain.state()["epoch"]
    eventually(lambda: chain.state()["epoch"] > epoch, what="the epoch ends")
    rows = chain.weights("//Validator"), chain.weights("//Second")
    trust = [neuron["validator_trust"] for neuron in chain.state()["neurons"] if neuron["permit"]]
    assert set(rows[0]) == set(rows[1]) == {keys.address(f"//{name}") for name in SKILLS}
    if rewriters:
        assert digest == other_digest
        differing = [a != b for name in SKILLS for a, b in zip(own[name], other[name], strict=True)]
        assert sum(differing) == len(SKILLS)
        assert rows[0] != rows[1]
        assert trust[0] == U16
        assert 0.95 * U16 < trust[1] < U16
    elif shared:
        assert digest == other_digest
        assert own == other
        assert rows[0] == rows[1]
        assert trust == [U16, U16]
    else:
        assert digest != other_digest
        assert rows[0] != rows[1]
        assert trust[0] == U16
        assert 0.8 * U16 < trust[1] < U16
