"""Formats that write the whole text of a prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.fields import PromptFormatName
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_evaluator.prompts import RawPrompt, prompt_format
from bitagent_evaluator.prompts.chat_formats import Bfcl
from bitagent_evaluator.prompts.text_formats import Exchange, Transcript

MakeTask = Callable[..., Task]
QUESTION = {"role": "user", "content": "Add 1 and 2, {please}."}

SYSTEM = {"role": "system", "content": "Be brief."}


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


TALK = [
    said("system", "S"),
    said("user", "Q1"),
    said("user", "Q2"),
    said("assistant", "A1"),
    said("tool", "R"),
    said("user", "Q3"),
]

LAYOUTS = {
    BuiltinPromptFormat.ALPACA: (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{system}\n\nQ1\n\nQ2\n\n### Response:\nA1\n\n### Instruction:\nR\n\nQ3\n\n### Response:\n"
    ),
    BuiltinPromptFormat.VICUNA: "{system}\nUSER: Q1\n\nQ2\nASSISTANT: A1\nUSER: R\n\nQ3\nASSISTANT:",
    BuiltinPromptFormat.CHATML: (
        "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\nQ1\n\nQ2<|im_end|>\n"
        "<|im_start|>assistant\nA1<|im_end|>\n"
        "<|im_start|>user\nR\n\nQ3<|im_end|>\n<|im_start|>assistant\n"
    ),
    BuiltinPromptFormat.LLAMA2: (
        "[INST] <<SYS>>\n{system}\n<</SYS>>\n\nQ1\n\nQ2 [/INST] A1 </s><s>[INST] R\n\nQ3 [/INST]"
    ),
}


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items(), ids=LAYOUTS)
def test_layouts(name: PromptFormatName, layout: str, task: MakeTask) -> None:
    asked = task(messages=TALK)
    system = Bfcl().build_prompt(asked).messages[0]["content"]
    assert '"name": "calc.add"' in system and system.endswith("\n\nS")
    assert prompt_format(name).build_prompt(asked) == RawPrompt(layout.replace("{system}", system))


CONVERSATIONS = {
    "question": ([QUESTION], Transcript("", [Exchange(QUESTION["content"], None)])),
    "nothing": ([], Transcript("", [Exchange("", None)])),
    "only a system text": ([SYSTEM], Transcript("Be brief.", [Exchange("", None)])),
    "ends with an answer": (
        [said("user", "Q"), said("assistant", "A")],
        Transcript("", [Exchange("Q", "A"), Exchange("", None)]),
    ),
    "begins with an answer": (
        [said("assistant", "A"), said("user", "Q")],
        Transcript("", [Exchange("", "A"), Exchange("Q", None)]),
    ),
    "later system message": ([said("user", "Q"), SYSTEM], Transcript("", [Exchange("Q\n\nBe brief.", None)])),
}


@pytest.mark.parametrize(("messages", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_transcript_of_messages(messages: list[dict[str, Any]], expected: Transcript) -> None:
    assert Transcript.from_messages(messages) == expected
