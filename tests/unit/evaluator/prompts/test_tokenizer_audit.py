"""Templates that a round refuses, by their source or by one of their prompts."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.chat_templates.audit.taint import analyse_template
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer
from bitagent_evaluator.support.faults import ModelFault

QUESTION = "Find the area of a triangle with base 10.\nAnd its perimeter?"


def test_round_refuses_a_template_by_its_source(checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(
        "{{ messages }}\n{% if 'area' in messages[0].content %}HINT{% endif %}"
    )
    with SandboxedTokenizer(checkpoint.path) as tokenizer, pytest.raises(ModelFault, match=r"line 2: .*HINT") as fault:
        tokenizer.load()
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


def test_round_refuses_a_template_by_its_prompts(checkpoint: Any) -> None:
    source = "{{ messages[0].content[:20] }}"
    assert analyse_template(source) == []
    (checkpoint.path / "chat_template.jinja").write_text(source)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        assert len(tokenizer.encode_prompts([ChatPrompt([{"role": "user", "content": "Short."}], None)])) == 1
        with pytest.raises(ModelFault, match="other texts of the same shape") as fault:
            tokenizer.encode_prompts([ChatPrompt([{"role": "user", "content": QUESTION}], None)])
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


def test_round_in_a_format_without_template_does_not_mind(checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").write_text("{{ messages[0].content == 'x' }}")
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        assert len(tokenizer.encode_prompts([RawPrompt("x")])) == 1
