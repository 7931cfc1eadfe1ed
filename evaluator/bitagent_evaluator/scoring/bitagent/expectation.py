"""What the subnet's rules need to know of the project's tasks: the expected call, the tools, and the right answer's points.

The rules know one expected call. Of a task with several the first is scored, as the subnet's validators did, so that the answer should be
that call alone. They know it in two forms: plain, one value an argument, or a ground truth, the list of allowed values. The subnet marked
its BFCL tasks as ground truths; here tasks of source `bfcl` are, and tasks of which an argument allows several values or holds a dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.results import Expects, Task
from bitagent_evaluator.scoring.bitagent.criteria import CALL_POINTS, Criterion, Expected, Score, Tools
from bitagent_evaluator.scoring.bitagent.reading import Call
from bitagent_evaluator.scoring.bitagent.rule_sets import RuleSet
from bitagent_evaluator.scoring.possible_answers import LEFT_OUT, chosen

GROUND_TRUTH_SOURCE = "bfcl"
_SCALARS = (str, int, float, bool, type(None))


def expected_call(task: Task) -> Expected | None:
    """The call to expect, None where none is."""
    if task.expects is not Expects.CALLS or not task.ground_truth:
        return None
    name, arguments = next(iter(task.ground_truth[0].items()))
    if task.source == GROUND_TRUTH_SOURCE or not all(_is_plain(allowed) for allowed in arguments.values()):
        return Expected(name, arguments, is_ground_truth=True)
    return Expected(name, {argument: allowed[0] for argument, allowed in arguments.items()})


def tools_of(functions: list[dict[str, Any]]) -> Tools:
    """The tools of a task, from descriptions in BFCL's form."""
    return {str(function.get("name")): _required(function.get("parameters")) for function in functions}


def best_score(rules: RuleSet, task: Task) -> Score:
    """The points of the right answer as people would give it: every argument that has a value, with the first of them.

    The rules of a ground truth want all its arguments, those that can only be left out too, so some right answers earn less than all
    points. A ground truth's own list as a value can earn more in 2025-04; nobody asked for that answer.
    """
    expected = expected_call(task)
    if expected is None:
        return Score({Criterion.IRRELEVANT: (CALL_POINTS, CALL_POINTS)})
    arguments = (task.ground_truth or [])[0][expected.name]
    values = {name: chosen(allowed, keep=True) for name, allowed in arguments.items() if allowed != [LEFT_OUT]}
    return rules.score_call(expected, tools_of(task.functions), Call(expected.name, tuple(values.items())))


def _required(parameters: object) -> frozenset[str]:
    required = parameters.get("required") if isinstance(parameters, Mapping) else None
    return frozenset(str(name) for name in required) if isinstance(required, list) else frozenset()


def _is_plain(allowed: list[Any]) -> bool:
    if len(allowed) != 1 or allowed[0] == LEFT_OUT:
        return False
    value = allowed[0]
    return isinstance(value, _SCALARS) or (isinstance(value, list) and all(isinstance(i, _SCALARS) for i in value))
