"""The official AST checker of the bfcl-eval package, as it is.

The checker needs one fact about the model it judges (whether dots in function names were replaced for its API), which it looks up in
`bfcl_eval.constants.model_config`. That module imports the client of every vendor on the leaderboard; none of them is installed
here, and none belongs in a pod without network. So the checker is loaded with a stand-in of that module which knows one model, ours.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, TypedDict, cast

from bfcl_eval.constants.enums import Language as OfficialLanguage

from bitagent_crds.results import Language

_CHECKER = "bfcl_eval.eval_checker.ast_eval.ast_checker"
_MODEL_CONFIG = "bfcl_eval.constants.model_config"
_MODEL = "bitagent"

_LANGUAGES = {
    Language.PYTHON: OfficialLanguage.PYTHON,
    Language.JAVA: OfficialLanguage.JAVA,
    Language.JAVASCRIPT: OfficialLanguage.JAVASCRIPT,
}


class CheckerResult(TypedDict, total=False):
    """What the checker returns."""

    valid: bool
    error: list[Any]
    error_type: str


def check(
    *,
    functions: list[dict[str, Any]],
    calls: Any,
    possible_answers: list[dict[str, Any]],
    language: Language,
    category: str,
) -> CheckerResult:
    """The official verdict on decoded calls. Raises what the checker raises on data that it was not written for."""
    result = _checker().ast_checker(functions, calls, possible_answers, _LANGUAGES[language], category, _MODEL)
    return cast(CheckerResult, result)


@functools.cache
def _checker() -> ModuleType:
    """A private copy of the checker's module: sys.modules stays as it was."""
    spec = importlib.util.find_spec(_CHECKER)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{_CHECKER} is missing: install bitagent[evaluator]", name=_CHECKER)
    module = importlib.util.module_from_spec(spec)
    with _stand_in_for_model_config():
        spec.loader.exec_module(module)
    return module


@contextmanager
def _stand_in_for_model_config() -> Iterator[None]:
    stand_in = ModuleType(_MODEL_CONFIG)
    stand_in.MODEL_CONFIG_MAPPING = {_MODEL: SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
    real = sys.modules.get(_MODEL_CONFIG)
    sys.modules[_MODEL_CONFIG] = stand_in
    try:
        yield
    finally:
        if real is None:
            del sys.modules[_MODEL_CONFIG]
        else:
            sys.modules[_MODEL_CONFIG] = real
