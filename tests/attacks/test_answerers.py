"""What each alteration takes from models that remember or match words; documents quote what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attack_models import answerers, scores
from attack_models.files import MODELS

from bitagent_crds.alterations import Alteration
from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.alterations.renaming import map_descriptions
from bitagent_evaluator.scoring.scorers import score

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "docs" / "security" / "threat-model.md"
BEGIN, END = "<!-- alterations: begin -->\n", "<!-- alterations: end -->\n"
MASKS = [{"functionMask": {}}, {"parameterMask": {}}]


@pytest.fixture(scope="module")
def known() -> list[Task]:
    lines = (MODELS / "benchmark.jsonl").read_text().splitlines()[:60]
    return [Task.model_validate_json(line) for line in lines]


@pytest.fixture(scope="module")
def share(known: list[Task]) -> Callable[..., float]:
    """The share of tasks that an answerer with all of them as a table solves, after alterations and edits."""

    def solved(model: str, *alterations: dict[str, Any], edit: Callable[[Task], Task] = lambda task: task) -> float:
        specs = [Alteration.model_validate(each) for each in alterations]
        tasks = [edit(task) for task in alter_tasks(known, specs, seed="1", available=known)[0]]
        answer = {
            "question": answerers.by_question(known),
            "descriptions": answerers.by_descriptions(known),
            "names": answerers.with_names(known),
            "words": answerers.bag_of_words,
        }[model]
        responses = [
            Response(id=t.id, text=answer(t), finish_reason="stop", prompt_tokens=0, completion_tokens=0) for t in tasks
        ]
        return sum(verdict.passed for verdict in score(tasks, responses)) / len(tasks)

    return solved


def other_question(task: Task) -> Task:
    """The task with a question that has none of its words."""
    return task.model_copy(update={"messages": [{"role": "user", "content": "Kindly do as discussed."}]})


def other_descriptions(task: Task) -> Task:
    functions = [map_descriptions(function, lambda text: f"Zyx {len(text)}") for function in task.functions]
    return task.model_copy(update={"functions": functions})


@pytest.mark.parametrize(
    ("model", "alterations", "edit", "least", "most"),
    [
        pytest.param("question", [], None, 0.9, 1, id="a table knows the tasks"),
        pytest.param("question", [{"toolShuffle": {}}], None, 0.9, 1, id="whatever the order of functions"),
        pytest.param("question", MASKS[:1], None, 0, 0, id="masked functions stop it"),
        pytest.param("question", MASKS[1:], None, 0, 0, id="masked parameters stop it"),
        pytest.param("question", [{"irrelevance": {"percent": 100}}], None, 0, 0.1, id="so does a missing function"),
        pytest.param("question", [], other_question, 0, 0.2, id="and another question"),
        pytest.param("descriptions", [], other_question, 0.8, 1, id="which does not stop a table by descriptions"),
        pytest.param("descriptions", [], other_descriptions, 0, 0.3, id="other descriptions do"),
        pytest.param("names", MASKS, None, 0.9, 1, id="names from the prompt survive masks"),
        pytest.param("names", MASKS, other_descriptions, 0, 0.1, id="and need known descriptions"),
        pytest.param("words", [], None, 0.05, 0.5, id="words solve some"),
        pytest.param("words", MASKS[:1], None, 0.05, 0.5, id="with masks as well"),
    ],
)
def test_what_stops_memory(
    share: Callable[..., float],
    model: str,
    alterations: list[dict[str, Any]],
    edit: Callable[[Task], Task] | None,
    least: float,
    most: float,
) -> None:
    found = share(model, *alterations, **({"edit": edit} if edit else {}))
    assert least <= found <= most


def test_the_threat_model_quotes_the_recorded_scores() -> None:
    assert scores.markdown("tiny") == MODEL.read_text().partition(BEGIN)[2].partition(END)[0]


def test_the_readme_quotes_the_recorded_scores() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in ("none", "toolShuffle", "distractorTools", "functionMask", "parameterMask", "rewrite", "all"):
        found = scores.recorded()["tiny"][name]
        assert f"| {found['table by question']} | {found['bag of words']} |" in readme, name
