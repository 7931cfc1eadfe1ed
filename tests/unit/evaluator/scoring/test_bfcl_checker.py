"""Loading of the official checker."""

from __future__ import annotations

import sys

from bitagent_crds.task_forms import Language
from bitagent_evaluator.scoring.bfcl import check_calls


def test_the_checker_is_loaded_without_traces() -> None:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    result = check_calls(
        functions=[{"name": "f", "parameters": parameters}],
        calls=[{"f": {"a": 1}}],
        possible_answers=[{"f": {"a": [1]}}],
        language=Language.PYTHON,
        category="simple",
    )
    assert result["valid"]
    assert not [
        name
        for name in sys.modules
        if name.startswith(("bfcl_eval.eval_checker.ast_eval.ast_checker", "bfcl_eval.constants.model_config"))
    ]
