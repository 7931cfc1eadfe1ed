"""Thinking, from the switch of a template to the marks in an answer, with a real tokenizer."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bitagent_crds.results import NoteKind
from bitagent_evaluator.evaluation.strategies import open_encoder
from bitagent_evaluator.evaluation.thoughts import ThoughtFinder
from bitagent_evaluator.models.validation.chat import NO_SWITCH
from bitagent_evaluator.parsing import AnswerSyntax, parse_answer
from bitagent_evaluator.prompts import ChatPrompt
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer

QUESTION = ChatPrompt([{"role": "user", "content": "Add 1 and 2."}], None)
SWITCHED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% elif thinking %}<think>\n{% endif %}"
)
FIXED = "{% for m in messages %}{{ m.content }}{% endfor %}{% set thinking = 1 %}"
THINK, END = 640, 641
"""Ids behind the vocabulary of the tiny models."""


def with_marks(checkpoint: Any, *, special: bool) -> None:
    """Add the marks of thoughts to a model's tokenizer, as tokens of their own."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    marks = [
        {"id": at, "content": text, "special": special} | flags for at, text in ((THINK, "<think>"), (END, "</think>"))
    ]
    checkpoint.edit("tokenizer.json", lambda content: content | {"added_tokens": [*content["added_tokens"], *marks]})
    checkpoint.config(vocab_size=642)


def with_template(checkpoint: Any, source: str) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(source)


@pytest.mark.parametrize(
    ("thinking", "ends"),
    [(None, "assistant\n"), (True, "assistant\n<think>\n"), (False, "assistant\n<think>\n\n</think>\n\n")],
    ids=["by itself", "on", "off"],
)
def test_a_template_is_told_whether_to_think(checkpoint: Any, thinking: bool | None, ends: str) -> None:
    with_template(checkpoint, SWITCHED)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        info = tokenizer.load(thinking=thinking)
        prompts = tokenizer.encode_prompts([QUESTION])
        (text,) = tokenizer.decode([ids for ids in prompts if isinstance(ids, list)], special_tokens=True)
    assert text.endswith(ends)
    assert NoteKind.TEMPLATE not in info.notes


@pytest.mark.parametrize(
    ("source", "thinking", "notes"),
    [(FIXED, True, [NO_SWITCH]), (FIXED, None, []), (SWITCHED, True, [])],
    ids=["no switch", "not asked", "a switch"],
)
def test_a_template_without_a_switch_is_noted(
    checkpoint: Any, source: str, thinking: bool | None, notes: list[str]
) -> None:
    with_template(checkpoint, source)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        assert list(tokenizer.load(thinking=thinking).notes.get(NoteKind.TEMPLATE, [])) == notes


@pytest.mark.parametrize(("name", "warnings"), [("ChatML", 1), ("Bfcl", 0)])
def test_a_format_without_a_template_is_warned_of(
    checkpoint: Any, name: str, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    with_template(checkpoint, SWITCHED)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        open_encoder(tokenizer, name, max_tokens=8, token_limit=64, vocab_size=640, thinking=True)
    assert sum("uses no chat template" in record.message for record in caplog.records) == warnings


@pytest.mark.parametrize("special", [None, False, True], ids=["in pieces", "as tokens", "as special tokens"])
def test_marks_are_found_and_written_out(checkpoint: Any, special: bool | None) -> None:
    """Whatever the tokenizer makes of them, a thought opened by the prompt ends, and the answer after it is read."""
    with_template(checkpoint, SWITCHED)
    if special is not None:
        with_marks(checkpoint, special=special)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        info = tokenizer.load(thinking=True)
        finder = ThoughtFinder(partial(tokenizer.decode, special_tokens=True), info.end_of_thinking_id)
        (prompt,) = tokenizer.encode_prompts([QUESTION])
        assert isinstance(prompt, list)
        thought, answer = tokenizer.encode_texts(["Two numbers, so add.\n</think>", "\n\n[add(a=1, b=2)]"])
        opened, (end,) = finder.opened_by([prompt]), finder.ends([thought + answer], [0])
        (text,) = tokenizer.decode([thought + answer])
    assert info.end_of_thinking_id == (None if special is None else END)
    assert (opened, end) == ([True], len(thought))
    assert text == "Two numbers, so add.\n</think>\n\n[add(a=1, b=2)]"
    assert parse_answer(text, [AnswerSyntax.PYTHON]).calls == [{"add": {"a": 1, "b": 2}}]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("names", "call"),
    [
        (
            ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
            "f<arg_key>city</arg_key><arg_value>Oslo</arg_value>",
        ),
        (("[THINK]", "[/THINK]"), "[THINK]f(a=2)?[/THINK][f(a=1)]"),
    ],
    ids=["GLM's call", "Magistral's thought"],
)
def test_marks_by_which_an_answer_is_read_are_written_out(
    checkpoint: Any, names: tuple[str, ...], call: str, *, special: bool
) -> None:
    """Without them a call would be a name and values in one word, and a thought part of an answer."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    marks = [{"id": THINK + at, "content": text, "special": special} | flags for at, text in enumerate(names)]
    checkpoint.edit("tokenizer.json", lambda content: content | {"added_tokens": [*content["added_tokens"], *marks]})
    checkpoint.config(vocab_size=THINK + len(marks))
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        assert tokenizer.decode(tokenizer.encode_texts([call])) == [call]
