"""The official multi-turn checker, with our execution in place of its own.

The checker runs the model's calls and the reference calls of each turn, then compares states and results. It is loaded as a private copy of its module in
which the one function that executes calls (by `eval`, on systems that outlive the run under a global name) is replaced: two fresh sets of systems
per check, and calls that are never evaluated.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from bitagent_crds.results import Conversation
from bitagent_evaluator.scoring.multi_turn.systems import Systems

_CHECKER = "bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker"
_EXECUTE = "execute_multi_turn_func_call"
_REFERENCE_SUFFIX = "_ground_truth"
"""How the checker tells the two sides apart: by the name of the model that it executes for."""
FORCE_TERMINATED = "multi_turn:force_terminated"
_MAX_DIFFERENCES = 600


def check(conversation: Conversation, turns: Sequence[Sequence[Sequence[str]]]) -> tuple[str, str]:
    """Official error type, empty when passed, and what was wrong. `turns` are the calls of each step of each turn, steps without calls left out."""
    expected = len(conversation.ground_truth)
    if len(turns) != expected:
        return FORCE_TERMINATED, f"the conversation ended in turn {len(turns)} of {expected}"
    sides = {reference: _systems(conversation) for reference in (False, True)}

    def execute(*, func_call_list: Sequence[str], model_name: str, **_: object) -> tuple[list[str], dict[str, Any]]:
        systems = sides[model_name.endswith(_REFERENCE_SUFFIX)]
        return [systems.run(source) for source in func_call_list], systems.instances

    entry = {"id": "conversation_0", "initial_config": {}, "involved_classes": list(conversation.classes)}
    result = _checker(execute).multi_turn_checker(turns, conversation.ground_truth, entry, "", "model")
    return ("", "") if result["valid"] else (result["error_type"], _explain(result))


def _systems(conversation: Conversation) -> Systems:
    return Systems(conversation.classes, conversation.initial_state, long_context=conversation.long_context)


def _checker(execute: Callable[..., Any]) -> ModuleType:
    """A private copy of the checker's module: sys.modules stays as it was."""
    spec = importlib.util.find_spec(_CHECKER)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{_CHECKER} is missing: install bitagent[evaluator]", name=_CHECKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(module, _EXECUTE, execute)
    return module


def _explain(result: dict[str, Any]) -> str:
    details = result.get("details", {})
    found = details.get("differences") or details.get("missing_items")
    return f"{result['error_message']} {str(found)[:_MAX_DIFFERENCES] if found else ''}".strip()
