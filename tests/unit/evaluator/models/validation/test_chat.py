"""What a model's files say about a chat: formats, end tokens and their files, what is likely to cost a score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.models.validation.chat import (
    ChatDescription,
    EndToken,
    describe,
    describe_files,
    described_files,
    text_after_answer,
)
from bitagent_evaluator.models.validation.files import directory_files

TURNS = (
    "{% for m in messages %}START{{ m.role }}\n{{ m.content }}END\n{% endfor %}"
    "{% if add_generation_prompt %}STARTassistant\n{% endif %}"
)


def small(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in described_files(directory_files(path))}


def described(path: Path, *, quantized: bool = False) -> ChatDescription:
    return describe(small(path), quantized=quantized, render=True)


def template(path: Path, end: str) -> None:
    (path / "chat_template.jinja").write_text(TURNS.replace("START", "<|im_start|>").replace("END", end))


def test_sound_model_has_no_notes(models: Path) -> None:
    found = describe_files(small(models / "tiny-fc-gptq"), quantized=True, render=True)
    assert found.notes == ()
    assert (found.template, found.tool_template) == ("chat_template.jinja", "chat_template.jinja")
    assert (found.prompt_format, found.quantization) == ("ChatTemplate", "config.json")
    files = ("generation_config.json", "config.json", "tokenizer_config.json")
    assert found.end_tokens == (EndToken(2, "<|im_end|>", files),)


@pytest.mark.parametrize(
    ("written", "syntax"),
    [
        ("", ""),
        ("<tool_call>{{ name }}<arg_key>", "ArgumentTags"),
        ("Action: x\nAction Input: y", "ReAct"),
        ('<tool_call>{"name": x}</tool_call>', "ToolCallBlocks"),
    ],
    ids=["no marks", "GLM", "ReAct", "Qwen"],
)
def test_the_syntax_in_which_a_template_writes_calls(checkpoint: Any, written: str, syntax: str) -> None:
    template(checkpoint.path, f"<|im_end|>{{% if tools %}}{written}{{% endif %}}")
    assert described(checkpoint.path).answer_syntax == syntax
    assert described(checkpoint.path).prompt_format == "ChatTemplate"


@pytest.mark.parametrize(
    ("written", "switches"),
    [
        ("", False),
        ("{% if enable_thinking %}<think>{% endif %}", True),
        ("{{ raise_exception('no') if thinking }}", True),
        ("{% set thinking = true %}{% if thinking %}<think>{% endif %}", False),
    ],
    ids=["no switch", "a switch", "one that raises", "a variable of the same name"],
)
def test_whether_a_template_switches_thinking(checkpoint: Any, written: str, switches: bool) -> None:
    template(checkpoint.path, f"<|im_end|>{written}")
    assert described(checkpoint.path).switches_thinking is switches
    assert describe(small(checkpoint.path), quantized=False, render=False).switches_thinking is None


def only_end_of_text(model: Any) -> None:
    model.config(eos_token_id=0)
    model.edit("generation_config.json", lambda content: {**content, "eos_token_id": 0})
    model.edit("tokenizer_config.json", lambda content: {**content, "eos_token": "<|endoftext|>"})


def test_turn_end_that_is_no_end_token_is_noted(checkpoint: Any) -> None:
    only_end_of_text(checkpoint)
    (note,) = described(checkpoint.path).notes
    assert "<|im_end|>" in note and "token 2" in note
    checkpoint.edit("generation_config.json", lambda content: {**content, "eos_token_id": [0, 2]})
    assert described(checkpoint.path).notes == ()


def test_plain_template_is_looked_at_too(checkpoint: Any) -> None:
    only_end_of_text(checkpoint)
    (checkpoint.path / "chat_template.jinja").unlink()
    (note,) = described(checkpoint.path).notes
    assert note.startswith("ChatML") and "<|im_end|>" in note
    assert described(checkpoint.path).prompt_format == "Bfcl"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("<|im_end|>", ""),
        (" </s>", "'</s>'"),
        ("<|eot|>", "'<|eot|>'"),
        ("", "writes no end token"),
        ("\n", "writes no"),
    ],
    ids=["end token", "another model's", "unknown marker", "nothing", "a line"],
)
def test_end_of_an_answer(checkpoint: Any, end: str, said: str) -> None:
    template(checkpoint.path, end)
    if not end.strip():
        source = "{% for m in messages %}{{ m.role }}: {{ m.content }}" + end + "{% endfor %}assistant: "
        (checkpoint.path / "chat_template.jinja").write_text(source)
    notes = described(checkpoint.path).notes
    assert len(notes) == (1 if said else 0)
    assert not said or said in notes[0]


@pytest.mark.parametrize(
    ("file", "member", "value"),
    [
        ("generation_config.json", "eos_token_id", [2, 100_000]),
        ("generation_config.json", "eos_token_id", [-1, *range(10**12, 10**12 + 500)]),
        ("config.json", "eos_token_id", -1),
        ("config.json", "eos_token_id", "2"),
        ("tokenizer_config.json", "eos_token", "</s>"),
        ("generation_config.json", "stop_strings", ["</tool_call>"]),
    ],
    ids=["id beyond the vocabulary", "many numbers", "-1 for none", "text for an id", "unknown token", "stop strings"],
)
def test_ends_that_are_not_used_are_noted(checkpoint: Any, file: str, member: str, value: Any) -> None:
    checkpoint.edit(file, lambda content: {**content, member: value})
    (note,) = described(checkpoint.path).notes
    assert note.startswith(f"{file}: {member}")


def test_model_without_an_end_token_is_noted(checkpoint: Any) -> None:
    checkpoint.config(eos_token_id=None)
    for file, member in (("generation_config.json", "eos_token_id"), ("tokenizer_config.json", "eos_token")):
        checkpoint.edit(file, lambda content, member=member: {k: v for k, v in content.items() if k != member})
    assert any("no file names an end token" in note for note in described(checkpoint.path).notes)


def test_added_tokens_that_the_tokenizer_does_not_have_are_noted(checkpoint: Any) -> None:
    added = {"2": {"content": "<|im_end|>"}, "640": {"content": "<tool_call>"}, "641": "broken"}
    checkpoint.edit("tokenizer_config.json", lambda content: content | {"added_tokens_decoder": added})
    (note,) = described(checkpoint.path).notes
    assert "added_tokens_decoder has 1 tokens" in note and "'<tool_call>'" in note


def test_tokens_that_no_tokenizer_can_hold_leave_the_rest_described(checkpoint: Any) -> None:
    broken = {"added_tokens_decoder": {"640": {"content": "\ud800"}}, "eos_token": "\ud800"}
    checkpoint.edit("tokenizer_config.json", lambda content: content | broken)
    found = described(checkpoint.path)
    assert found.prompt_format and found.end_tokens
    (note,) = found.notes
    assert "added_tokens_decoder has 1 tokens" in note


@pytest.mark.parametrize("added", [None, [], {}, {"2": {"content": "<|im_end|>"}}, {"2": {}}])
def test_added_tokens_that_are_there_or_malformed_are_not(checkpoint: Any, added: object) -> None:
    checkpoint.edit("tokenizer_config.json", lambda content: content | {"added_tokens_decoder": added})
    assert described(checkpoint.path).notes == ()


def test_templates_are_told_by_their_files(checkpoint: Any) -> None:
    tools = (checkpoint.path / "chat_template.jinja").read_text()
    template(checkpoint.path, "<|im_end|>")
    assert described(checkpoint.path).prompt_format == "Bfcl"
    (checkpoint.path / "additional_chat_templates").mkdir()
    for name in ("tool_use", "rag"):
        (checkpoint.path / "additional_chat_templates" / f"{name}.jinja").write_text(tools)
    found = described(checkpoint.path)
    assert found.tool_template == "additional_chat_templates/tool_use.jinja"
    assert (found.template, found.prompt_format) == ("chat_template.jinja", "ChatTemplate")
    (note,) = found.notes
    assert "rag.jinja" in note


def test_settings_of_a_quantisation_are_told_by_their_file(models: Path) -> None:
    files = small(models / "tiny-fc-gptq")
    config = json.loads(files["config.json"])
    del config["quantization_config"]
    files["config.json"] = json.dumps(config).encode()
    assert describe(files, quantized=True, render=False).quantization == "quantize_config.json"


def test_text_after_an_answer_that_is_not_rendered() -> None:
    assert text_after_answer(lambda messages, tools: "constant") is None
