"""The tokenizer-side view of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.fields import PromptFormatName
from bitagent_crds.plugins import UnknownName
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.strategies import ScoringOptions, open_encoder, resolve_format
from bitagent_evaluator.evaluation.strategies.single_turn import SingleTurnStrategy
from bitagent_evaluator.prompts import ChatPrompt
from bitagent_evaluator.prompts.tokenizer import LIMITS, SandboxedTokenizer, TokenizerInfo
from bitagent_evaluator.support.faults import ModelFault

QUICK = dataclasses.replace(LIMITS, cpu_seconds=1.0, wall_factor=100)

QUESTION = [{"role": "user", "content": "Give me a random number between 205 and 390."}]


def template(source: str) -> Callable[[Any], None]:
    return lambda model: (model.path / "chat_template.jinja").write_text(source)


FUNCTION = {"name": "add", "description": "Adds.", "parameters": {"type": "dict", "properties": {}}}
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_a_round_in_a_raw_format_needs_no_template_and_ends_at_the_formats_token(checkpoint: Any) -> None:
    template(LOOPS)(checkpoint)
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "eos_token": "<|endoftext|>"})
    checkpoint.config(eos_token_id=0)
    checkpoint.edit("generation_config.json", lambda content: {**content, "eos_token_id": 0})
    task = Task(id="t", source="s", category="c", messages=QUESTION, functions=[], expects=Expects.NO_CALL)
    limits = {"max_tokens": 8, "token_limit": 2048, "vocab_size": 4096}
    with SandboxedTokenizer(checkpoint.path, QUICK) as tokenizer:
        encoder = open_encoder(tokenizer, BuiltinPromptFormat.CHATML, **limits)
        (prompt,) = SingleTurnStrategy([task], encoder, ScoringOptions(BuiltinScorer.BFCL)).requests
        assert QUESTION[0]["content"] in tokenizer.decode([prompt.token_ids])[0]
    assert encoder.stop_ids == (0, 2)
    assert encoder.format.syntaxes == ("Python", "FunctionParams", "ReWoo")


@pytest.mark.parametrize(
    ("name", "uses_tools", "resolved"),
    [
        (BuiltinPromptFormat.AUTO, True, BuiltinPromptFormat.CHAT_TEMPLATE),
        (BuiltinPromptFormat.AUTO, False, BuiltinPromptFormat.BFCL),
        (BuiltinPromptFormat.BITAGENT, True, BuiltinPromptFormat.BITAGENT),
    ],
)
def test_auto_depends_on_the_template(name: PromptFormatName, uses_tools: bool, resolved: PromptFormatName) -> None:
    assert resolve_format(name, TokenizerInfo(uses_tools, ())) == resolved


def test_token_outside_the_vocabulary_is_the_tokenizers_fault(models: Path) -> None:
    with SandboxedTokenizer(models / "tiny-fc-1200") as tokenizer:
        encoder = open_encoder(tokenizer, BuiltinPromptFormat.AUTO, max_tokens=8, token_limit=2048, vocab_size=300)
        with pytest.raises(ModelFault, match="vocabulary has 300") as fault:
            encoder.encode([ChatPrompt(QUESTION, None)])
    assert fault.value.reason is Reason.BAD_TOKENIZER


def test_a_prompt_leaves_room_for_an_answer_within_both_limits(models: Path) -> None:
    with SandboxedTokenizer(models / "tiny-fc-1200") as tokenizer:
        encoder = open_encoder(tokenizer, BuiltinPromptFormat.BFCL, max_tokens=8, token_limit=20, vocab_size=4096)
    assert [encoder.answer_limit([1] * length) for length in (0, 1, 12, 15, 20, 21)] == [0, 8, 8, 5, 0, 0]


def test_an_unknown_format_is_refused_before_the_tokenizer_is_loaded(tmp_path: Path) -> None:
    with SandboxedTokenizer(tmp_path, QUICK) as tokenizer, pytest.raises(UnknownName):
        open_encoder(tokenizer, "Mistral", max_tokens=8, token_limit=20, vocab_size=4096)


@pytest.mark.usefixtures("example_plugin")
def test_a_packages_format_is_rendered_by_the_models_template(models: Path) -> None:
    task = Task(id="t", source="s", category="c", messages=QUESTION, functions=[FUNCTION], expects=Expects.NO_CALL)
    with SandboxedTokenizer(models / "tiny-fc-1200") as tokenizer:
        encoder = open_encoder(tokenizer, "MarkdownTools", max_tokens=8, token_limit=2048, vocab_size=4096)
        (request,) = SingleTurnStrategy([task], encoder, ScoringOptions()).requests
        (text,) = tokenizer.decode([request.token_ids])
    assert encoder.format_name == "MarkdownTools"
    assert "# Tools\n- `add`: " in text and QUESTION[0]["content"] in text
