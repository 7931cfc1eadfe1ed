"""Function descriptions of the leaderboard's variations. All prompts, byte for byte: tests/golden/test_bfcl_prompts."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.task_forms import FunctionDocFormat, PromptLayout, PromptStyle
from bitagent_crds.task_set import PROMPT_VARIATIONS, PromptVariation
from bitagent_evaluator.prompts.variations import variation_prompt

INNER = {"type": "dict", "properties": {"b": {"type": "boolean", "description": "."}}, "required": []}
PROPERTIES: dict[str, Any] = {
    "a": {"type": "array", "items": {"type": "integer"}, "description": "All, of it.", "default": [1, 2]},
    "c": {"type": "string", "enum": ["x", "y"], "description": "One."},
    "d": {**INNER, "description": "Inner."},
    "e": {"type": "dict", "additionalProperties": {"type": "float"}, "description": "."},
}
FUNCTION = {
    "name": "f.g",
    "description": "Does it.",
    "parameters": {"type": "dict", "properties": PROPERTIES, "required": ["a"]},
}
XML = """<function name="f.g">
  <desc>Does it.</desc>
  <params>
    <param name="a" type="array[integer]" required="true" default="[1 2]">
      <desc>All, of it.</desc>
    </param>
    <param name="c" type="string" required="false">
      <desc>One. Enum values: ['x', 'y'].</desc>
    </param>
    <param name="d" type="dict" required="false">
      <desc>Inner.</desc>
      <params>
        <param name="b" type="boolean" required="false">
          <desc>.</desc>
        </param>
      </params>
    </param>
    <param name="e" type="dict[float]" required="false">
      <desc>.</desc>
    </param>
  </params>
</function>
"""
PYTHON = """# Function: f.g
    \"""
    Does it.

    Args:
        a (list[int], default=[1, 2]): All, of it.
        c (str): One. Enum values: ['x', 'y'].
        d (dict): Inner.
            b (bool): .
        e (dict[str, float]): .
    \"""
"""


@pytest.mark.parametrize(
    ("form", "described"), [(FunctionDocFormat.XML, XML), (FunctionDocFormat.PYTHON, PYTHON)], ids=["xml", "python"]
)
def test_descriptions(form: FunctionDocFormat, described: str) -> None:
    prompt = variation_prompt(PromptVariation(function_doc_format=form), [FUNCTION])
    assert f"in {form} format that you can invoke.\n{described}" in prompt


@pytest.mark.parametrize("form", FunctionDocFormat)
def test_no_functions_and_no_parameters(form: FunctionDocFormat) -> None:
    variation = PromptVariation(function_doc_format=form)
    bare = {"name": "h", "description": "", "parameters": {"type": "dict", "properties": {}}}
    assert "h" in variation_prompt(variation, [bare]).removeprefix(variation_prompt(variation, []).rstrip())


def test_every_variation_is_another_prompt() -> None:
    assert len({variation_prompt(variation, [FUNCTION]) for variation in PROMPT_VARIATIONS}) == 26
    assert "## Task" in variation_prompt(PromptVariation(layout=PromptLayout.MARKDOWN), [])
    assert "structured function calls" in variation_prompt(PromptVariation(style=PromptStyle.EXPERIMENTAL), [])
