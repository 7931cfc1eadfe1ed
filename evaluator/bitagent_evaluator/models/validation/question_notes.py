"""What a chat template makes of a question, and settings of generation that nothing applies: notes for a person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.chat_templates.audit.differential import RENDERING_ERRORS
from bitagent_evaluator.chat_templates.render import TemplateRenderer
from bitagent_evaluator.models.validation.files import quote
from bitagent_evaluator.models.validation.templates import Templates

_QUESTION, _ANSWER = "This is a question.", "This is an answer."
_THOUGHT = re.compile(r"</?[a-z:]{0,8}think(?:ing)?>|\s")
_ROLE = re.compile(r"assistant|model|bot", re.IGNORECASE)
"""The role that an answer has; the model itself may write more after it, such as a channel."""
_PROCESSORS: Mapping[str, tuple[Any, ...]] = {
    "repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1.0,),
    "bad_words_ids": ([],),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "sequence_bias": ({},),
    "num_beams": (1,),
    "penalty_alpha": (0.0,),
}
"""Settings that change greedy answers, with the values that change nothing."""


def question_notes(templates: Templates, special: Mapping[str, str]) -> list[str]:
    """Return a note for each template that leaves out the question, or what comes before an answer."""
    notes = []
    for template in templates.distinct:
        try:
            note = _note(template.source, special)
        except RENDERING_ERRORS:  # A conversation that it refuses says nothing.
            continue
        if note:
            notes.append(f"{template.file}: {note}")
    return notes


def _note(source: str, special: Mapping[str, str]) -> str:
    if _is_json_text(source):
        return "it is JSON text with its quotation marks and \\n: save the template itself"
    renderer = TemplateRenderer(source, special)
    question = [{"role": "user", "content": _QUESTION}]
    asked = renderer.render(question, None)
    if _QUESTION not in asked:
        return (
            f"its prompts do not have the question, whatever it is ({quote(asked, 40)}): a chat template is Jinja, and "
            "writes message.content of each of the messages"
        )
    answered = renderer.render([*question, {"role": "assistant", "content": _ANSWER}], None)
    before = answered.partition(_QUESTION)[2].partition(_ANSWER)[0]
    tail = asked.rpartition(_QUESTION)[2]
    absent = before.removeprefix(tail)
    if _ANSWER not in answered or not before.startswith(tail) or _ROLE.search(tail) or not _THOUGHT.sub("", absent):
        return ""
    return (
        f"its prompts end before {quote(absent.strip())}, which it writes in front of an answer, so the model has to "
        "write that itself: write it after the messages if add_generation_prompt"
    )


def _is_json_text(source: str) -> bool:
    text = source.strip()
    if not (text.startswith('"') and text.endswith('"')):
        return False
    try:
        return isinstance(json.loads(text), str)
    except ValueError:
        return False


def unapplied_settings(file: str, content: Mapping[str, Any]) -> list[str]:
    """Return a note on settings of a generation configuration that would change greedy answers and are not applied."""
    found = [
        f"{name} {quote(content[name], 20)}"
        for name, without in _PROCESSORS.items()
        if content.get(name) is not None and content[name] not in without
    ]
    if not found:
        return []
    return [f"{file}: not applied, answers are decoded greedily without it: {', '.join(found)}"]
