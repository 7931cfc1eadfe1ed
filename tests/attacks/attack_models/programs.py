"""Tokenizers and templates that read, decide or edit."""

from __future__ import annotations

from pathlib import Path

from attack_models.files import bytes_after, replacing, splitting, with_template, with_tokenizer

READS_FUNCTIONS = (
    r'(?i)"name": "(?!(?:[a-z]*[_.])*?([a-z]{4})[a-z]*(?=[_."])[^"]*"(?>[^\x01]*\x01)(?:[^\x01]{0,600}?)\b\1)[^"]+"'
)
"""Matches each function's name that has no word of the question, which a template marks by U+0001."""
HONEST = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def reading_tokenizer(folder: Path) -> Path:
    """Write a model whose tokenizer deletes the names of functions that do not fit."""
    with_tokenizer(folder, pre_tokenizer=bytes_after(splitting(READS_FUNCTIONS)))
    return folder


def editing_decoder(folder: Path) -> Path:
    """Write a model whose decoder deletes its thoughts."""
    decoders = [{"type": "ByteLevel"}, replacing(r"^[\s\S]*</think>", "", regex=True)]
    return with_tokenizer(folder, decoder={"type": "Sequence", "decoders": decoders})


def unreadable_decoder(folder: Path) -> Path:
    """Write a model whose decoder has a pattern of another dialect, so that the tokenizer cannot be loaded."""
    decoders = [{"type": "ByteLevel"}, replacing("(?s).*", "", regex=True)]
    return with_tokenizer(folder, decoder={"type": "Sequence", "decoders": decoders})


def knowing_template(folder: Path) -> Path:
    """Write a model whose template gives the answer to a known question."""
    decides = "{% if 'random number' in messages[-1].content %}[generate_random_number(max=390, min=205)]{% endif %}"
    return with_template(folder, HONEST + decides)


def counting_template(folder: Path) -> Path:
    """Write a model whose template names a function by the number of its parameters."""
    decides = (
        "{% for t in tools or [] %}{% if t.function.parameters.properties | length == 2 %}USE {{ t.function.name }}"
    )
    return with_template(folder, HONEST + decides + "{% endif %}{% endfor %}")


def cutting_template(folder: Path) -> Path:
    """Write a model whose template passes on the beginning of a question alone."""
    return with_template(folder, "{{ messages[-1].content[:20] }}")
