"""Files beside a model that look like a part of it."""

from __future__ import annotations

import pytest

from bitagent_evaluator.models.validation.unread import unread_notes

MODEL = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "README.md")

NOTED = {
    "another ending of a template": ("chat_template.jinja2", "'chat_template.jinja2' is not read"),
    "a template of another program": ("tool_chat_template.jinja", "chat_template.jinja"),
    "a template in a folder": ("templates/chat.j2", "'templates/chat.j2'"),
    "a template as text": ("prompt_template.txt", "not read"),
    "an adapter": ("adapter_model.safetensors", "merge"),
    "an adapter in a folder": ("lora/adapter_model.bin", "merge"),
    "settings of ModelOpt": ("hf_quant_config.json", "quantization_config"),
    "a processor": ("processor_config.json", "chat_template.jinja"),
}


@pytest.mark.parametrize(("name", "said"), NOTED.values(), ids=NOTED)
def test_a_file_that_is_not_read_is_noted(name: str, said: str) -> None:
    (note,) = unread_notes([*MODEL, name], has_template=False, is_quantized=False)
    assert said in note


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("chat_template.jinja", "checkpoint-9/chat_template.jinja", "additional_chat_templates/tool_use.jinja"),
        ("optimizer.pt", "training_args.bin", "generation_config.json", "vocab.json", "merges.txt"),
        ("processor_config.json", "hf_quant_config.json"),
    ],
    ids=["a model", "templates", "a trainer's files", "files that say nothing more"],
)
def test_usual_files_are_not_noted(names: tuple[str, ...]) -> None:
    assert unread_notes([*MODEL, *names], has_template=True, is_quantized=True) == []
