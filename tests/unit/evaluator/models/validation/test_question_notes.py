"""Notes on templates that leave out the question or what comes before an answer, and on settings of generation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.chat_templates.render import CHATML
from bitagent_evaluator.models.validation.question_notes import question_notes, unapplied_settings
from bitagent_evaluator.models.validation.templates import Template, Templates

LOOP = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
MISTAKES = {
    "a name": ("chatml", "do not have the question"),
    "a path": ("chat_template.jinja", "do not have the question"),
    "Python's format": ("<|user|>{prompt}<|assistant|>", "do not have the question"),
    "another variable": ("{% for m in conversation %}{{ m.content }}{% endfor %}", "do not have the question"),
    "JSON text": (json.dumps(CHATML), "JSON text"),
    "no start of an answer": (LOOP, "'assistant:'"),
}
SOUND = {
    "ChatML": CHATML,
    "Llama 2": "{% for m in messages %}{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else m.content }}"
    "{% endfor %}",
    "a thought in front of the answer": CHATML.replace("assistant\n", "assistant\n<think>\n"),
    "an empty thought in earlier turns": CHATML.replace(
        "{{ message.content }}", "{% if message.role == 'assistant' %}<think></think>\n{% endif %}{{ message.content }}"
    ),
    "a channel that the model chooses": CHATML.replace(
        "{{ message.content }}",
        "{% if message.role == 'assistant' %}<|channel|>final<|message|>{% endif %}{{ message.content }}",
    ),
    "one that refuses the conversation": "{{ raise_exception('no') }}",
}


def notes(source: str) -> list[str]:
    template = Template("chat_template.jinja", source)
    return question_notes(Templates(template, template), {})


@pytest.mark.parametrize(("source", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_template_without_question_or_beginning_is_noted(source: str, said: str) -> None:
    (note,) = notes(source)
    assert note.startswith("chat_template.jinja: ") and said in note


@pytest.mark.parametrize("source", SOUND.values(), ids=SOUND)
def test_sound_templates_are_not(source: str) -> None:
    assert notes(source) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"repetition_penalty": 1.3, "temperature": 0.7}, "repetition_penalty 1.3"),
        ({"suppress_tokens": [1, 2]}, "suppress_tokens [1, 2]"),
        ({"num_beams": 4}, "num_beams 4"),
    ],
    ids=["penalty", "suppressed tokens", "beams"],
)
def test_settings_that_would_change_greedy_answers_are_noted(content: dict[str, Any], said: str) -> None:
    (note,) = unapplied_settings("generation_config.json", content)
    assert said in note and "temperature" not in note


def test_settings_that_change_nothing_are_not() -> None:
    content = {"repetition_penalty": 1.0, "num_beams": 1, "do_sample": True, "top_p": 0.9, "bad_words_ids": None}
    assert unapplied_settings("generation_config.json", content) == []
