"""The second line: render a conversation and its twin, and compare.

`run` does it with made-up conversations, before any task is known; `compare` with one that was rendered for a round.
"""

from __future__ import annotations

import json
import re

from jinja2 import TemplateError

from bitagent_evaluator.rendering.template import ChatTemplate
from bitagent_evaluator.safety.audit.benchmark.literals import names_in
from bitagent_evaluator.safety.audit.conversations import Conversation, conversations
from bitagent_evaluator.safety.audit.finding import Finding, Rule, Severity
from bitagent_evaluator.safety.audit.twin import Twin, twin_of, without_placeholders

RENDERING_ERRORS = (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""What a template may raise on a conversation that it does not support."""

LONGER, MORE_CHARACTERS = 3, 16_384
"""A prompt may be so many times as long as its conversation is as JSON, and so many characters more. Indented schemas take twice the length, the
longest instructions of known templates some 5,000 characters. Without a bound a template could fill the engine's memory, or a round's time, with
nothing: that would be the infrastructure's fault, and cost all models of the round their score."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}>")
"""How Python writes a function: by where it happens to lie in memory."""


def compare(template: ChatTemplate, conversation: Conversation, prompt: str) -> Finding | None:
    """What is wrong with a prompt that the template wrote for a conversation: None when it only laid it out.

    A conversation that the template supports it has to support with other words, too.
    """
    longest = LONGER * len(json.dumps(conversation)) + MORE_CHARACTERS
    if len(prompt) > longest:
        explanation = f"it writes {len(prompt)} characters for a conversation that calls for {longest} at most"
        return Finding(Rule.LENGTH, Severity.REFUSE, explanation)
    twin = twin_of(*conversation)
    try:
        written = template.render(twin.messages, twin.tools)
    except RENDERING_ERRORS as error:
        return _difference("the prompt exists for one text only", f"{type(error).__name__}: {error}")
    return _differs(twin, prompt, written) or _given_away(written)


def _differs(twin: Twin, prompt: str, written: str) -> Finding | None:
    found = twin.difference(prompt, written)
    if found is None:
        return None
    line, expected = found
    return _difference("it writes something else for other texts of the same shape", f"{line}  instead of  {expected}")


def _given_away(written: str) -> Finding | None:
    if _ADDRESS.search(written):
        explanation = "it writes out a function, which looks different in every process"
        return Finding(Rule.NONDETERMINISM, Severity.REFUSE, explanation)
    name = next(names_in(without_placeholders(written, " ")), None)
    if name is None:
        return None
    return Finding(Rule.BENCHMARK, Severity.REFUSE, f"it writes {name}, a function of a known benchmark, by itself")


def _difference(explanation: str, text: str) -> Finding:
    return Finding(Rule.DIFFERENCE, Severity.REFUSE, explanation, text=text[:400])


def run(template: ChatTemplate) -> list[Finding]:
    """Try a template on all conversations. May raise whatever a hostile template provokes; run it in the bounded child."""
    rendered, first_error = 0, ""
    for conversation in conversations():
        try:
            prompt = template.render(*conversation)
        except RENDERING_ERRORS as error:
            first_error = first_error or f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            continue
        rendered += 1
        finding = compare(template, conversation, prompt)
        if finding is not None:
            return [finding]
    if rendered:
        return []
    return [Finding(Rule.BROKEN, Severity.REFUSE, f"it fails on every conversation: {first_error[:200]}")]
