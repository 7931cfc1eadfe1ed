"""Code inside the sandbox: execute calls, and check conversations with the official multi-turn checker.

The checker executes the model's calls and the reference calls of each turn, then compares states and results. It is
loaded as a private copy of its module in which one function is replaced: the one that executes calls by `eval`, on
systems that outlive the run under a global name. Here each check has two fresh sets of systems, and calls are parsed,
never evaluated.

Nothing is kept between requests: a step is executed after all steps before it, on fresh systems, so that a process that
had to be killed for one conversation loses nothing of the others.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bitagent_evaluator.scoring.multi_turn.memory import content_of, shown_content
from bitagent_evaluator.scoring.multi_turn.systems import Systems, load_systems

_CHECKER = "bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker"
_EXECUTE = "execute_multi_turn_func_call"
_REFERENCE_SUFFIX = "_ground_truth"
"""Suffix of the model name for which the checker executes the reference calls."""
FORCE_TERMINATED = "multi_turn:force_terminated"
_MAX_DIFFERENCES = 600


@dataclass(frozen=True)
class Setting:
    """What of a `task_set.Conversation` is simulated; its members have the same names, and come checked."""

    classes: Sequence[str]
    initial_state: dict[str, Any]
    ground_truth: Sequence[Sequence[str]]
    long_context: bool

    def systems(self) -> Systems:
        """Return fresh systems in the initial state."""
        return Systems(self.classes, self.initial_state, long_context=self.long_context)


def check(setting: Setting, turns: Sequence[Sequence[Sequence[str]]]) -> tuple[str, str]:
    """Return the official error type, empty if the conversation passed, and an explanation.

    `turns` are the calls of each step of each turn, without steps that hold no call.
    """
    expected = len(setting.ground_truth)
    if len(turns) != expected:
        return FORCE_TERMINATED, f"the conversation ended in turn {len(turns)} of {expected}"
    sides = {reference: setting.systems() for reference in (False, True)}

    def execute(*, func_call_list: Sequence[str], model_name: str, **_: object) -> tuple[list[str], dict[str, Any]]:
        systems = sides[model_name.endswith(_REFERENCE_SUFFIX)]
        return [systems.run(source) for source in func_call_list], systems.instances

    entry = {"id": "conversation_0", "initial_config": {}, "involved_classes": list(setting.classes)}
    result = _checker(execute).multi_turn_checker(turns, setting.ground_truth, entry, "", "model")
    return ("", "") if result["valid"] else (result["error_type"], _explain(result))


def _checker(execute: Callable[..., Any]) -> ModuleType:
    """Return a private copy of the checker's module; sys.modules stays as it was."""
    spec = importlib.util.find_spec(_CHECKER)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{_CHECKER} is missing: install bitagent[benchmark]", name=_CHECKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(module, _EXECUTE, execute)
    return module


def _explain(result: dict[str, Any]) -> str:
    details = result.get("details", {})
    found = details.get("differences") or details.get("missing_items")
    return f"{result['error_message']} {str(found)[:_MAX_DIFFERENCES] if found else ''}".strip()


class SimulationWorker:
    """Answers three requests, all with a `setting`.

    `{"do": "execute", "steps"}` returns the results of the last step, `{"do": "check", "turns"}` the official error,
    `{"do": "remember", "steps"}` what the memory of the conversation holds after the steps, and what is shown of it.
    """

    def __init__(self) -> None:
        load_systems()  # so that no request pays for the imports

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the answer to one request."""
        setting = Setting(**body["setting"])
        if body["do"] == "check":
            error, detail = check(setting, body["turns"])
            return {"error": error, "detail": detail}
        systems = setting.systems()
        results: list[str] = []
        for step in body["steps"]:
            results = [systems.run(source) for source in step]
        if body["do"] == "remember":
            (name,) = setting.classes
            memory = systems.instances[name]
            return {"content": content_of(name, memory), "shown": shown_content(memory)}
        return {"results": results}
