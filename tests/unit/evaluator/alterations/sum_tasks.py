"""Tasks with functions of a few parameters, for the tests of alterations."""

from __future__ import annotations

from typing import Any

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task


def parameter(kind: str = "string", description: str = "", **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, **more}


def function(name: str, description: str = "", *, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "dict", "properties": properties, "required": list(required)}
    return {"name": name, "description": description, "parameters": parameters}


def task(*functions: dict[str, Any], truth: list[dict[str, Any]] | None = None, **more: Any) -> Task:
    expects = Expects.NO_CALL if truth is None else Expects.CALLS
    content = more.pop("says", "Do it.")
    made = {"id": "t", "source": "test", "category": "mine", "expects": expects, "ground_truth": truth}
    made |= {"messages": [{"role": "user", "content": content}], "functions": list(functions)}
    return Task.model_validate(made | more)


ADD = function("math.add", "Adds. See math.sub.", a=parameter("integer"), b=parameter("integer"), required=("a",))
SUB = function("math.sub", "Undoes `math.add`, not math.adding.", a=parameter("integer"))
SUMS = task(ADD, SUB, truth=[{"math.add": {"a": [1], "b": [2, ""]}}], says="Call math.add on 1 and 2, please.")
