"""Differential probe: render a conversation and its twins with placeholders, and compare the prompts.

A template that lays out a conversation is a function of its shape: roles, order, members, line breaks, markers. If it
writes anything else around the words than around the placeholders of a twin, it used the words, however it did so. A
template that recognises placeholders is found in the same way, by treating them differently.

White space at the ends of texts and lines decides about white space only: without it the prompt is the same.

The shape of the tools and texts must not be used as a name for them, either: a template is a list of blocks, one for
each tool, parameter, choice and line. So between the same placeholders it writes the same in a twin with clones of
them and parameters of further types in between, writes the same pieces when their order is reversed, and writes all
tools, parameters and lines of a text or none. What a clone of a tool changes far from this tool is a decision by a
counted property. How many clones there are depends on the words, which the twin does not have.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from bitagent_evaluator.chat_templates.audit.benchmark.literals import find_names
from bitagent_evaluator.chat_templates.audit.conversations import Conversation, probe_conversations
from bitagent_evaluator.chat_templates.audit.findings import Finding, Rule, Severity, quote_line
from bitagent_evaluator.chat_templates.audit.twins import (
    PLACEHOLDER,
    Twin,
    grown,
    make_twin,
    place_of,
    reversed_twin,
    unpadded,
)
from bitagent_evaluator.chat_templates.render import TemplateRenderer
from bitagent_evaluator.support.text import error_line


def difference(twin: Twin, prompt: str, twin_prompt: str) -> tuple[str, str] | None:
    """Return both lines at the first difference other than texts for placeholders; None without one."""
    twin_prompt, quoted = _mark_quoted(twin, twin_prompt)
    constants, placeholders = PLACEHOLDER.split(twin_prompt), PLACEHOLDER.findall(twin_prompt)
    position = 0
    for place, constant in enumerate(constants):
        if not prompt.startswith(constant, position):
            return _lines(prompt, position, constant)
        position += len(constant)
        if place == len(placeholders):
            break
        following = constants[place + 1]
        forms = quoted.get(placeholders[place]) or _written_forms(twin, placeholders[place])
        fitting = [form for form in forms if prompt.startswith(form + following, position)]
        if not fitting:
            return _lines(prompt, position, placeholders[place] + following)
        position += len(max(fitting, key=len))
    return None if position == len(prompt) else _lines(prompt, position, "")


_FIRST_QUOTED = 900_000
"""Placeholders from here on stand for a text with the quotes around it."""


def _mark_quoted(twin: Twin, twin_prompt: str) -> tuple[str, dict[str, list[str]]]:
    """Replace texts in single quotes that Python would represent with double ones; return their forms with quotes."""
    forms: dict[str, list[str]] = {}
    for replaced, original in twin.wholes.items():
        if "'" in original and '"' not in original and (plain := repr(replaced)) in twin_prompt:
            placeholder = f"zq{_FIRST_QUOTED + len(forms):06}0"
            inner = [encode(original) for encode in _ENCODERS]
            forms[placeholder] = [repr(original), *(f"'{form}'" for form in inner)]
            twin_prompt = twin_prompt.replace(plain, placeholder)
    return twin_prompt, forms


def _in_json(text: str, *, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


_ENCODERS: Sequence[Callable[[str], str]] = (
    lambda text: text,
    lambda text: _in_json(text, ascii_only=False),
    lambda text: _in_json(text, ascii_only=True),
    lambda text: _in_json(_in_json(text, ascii_only=False), ascii_only=False),
    lambda text: repr(text)[1:-1],
    lambda text: repr('"' + text)[2:-1],
    lambda text: text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n"),
    lambda text: f"<![CDATA[{text}]]>",
    lambda text: html.escape(text, quote=False),
    lambda text: html.escape(text, quote=False).replace('"', "&quot;"),
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
)


_CAPITALS: Sequence[Callable[[str], str]] = (
    str.upper,
    str.capitalize,
    str.title,
    lambda text: text[:1].upper() + text[1:],
)
"""How a template may write the names of tools and parameters, such as those of classes."""
_PLAIN = re.compile(r"[\w .,;:?!()=*/+-]*", re.ASCII)


def _written_forms(twin: Twin, placeholder: str) -> list[str]:
    """Return the forms in which a template may write the text that a placeholder stands for.

    Plain, in JSON, in JSON within JSON, in Python, in XML, escaped for HTML, and names with capitals.
    """
    text = twin.originals.get(placeholder)
    if text is None:
        lower = placeholder.lower()
        if lower not in twin.names:
            return [placeholder]
        return [change(twin.originals[lower]) for change in _CAPITALS if change(lower) == placeholder]
    if _PLAIN.fullmatch(text):
        return [text]
    return [encode(text) for encode in _ENCODERS]


def _lines(prompt: str, position: int, expected: str) -> tuple[str, str]:
    """Return the line of the prompt and the expected line at the first difference."""
    same = next((i for i, (a, b) in enumerate(zip(prompt[position:], expected, strict=False)) if a != b), 0)
    before = prompt[prompt.rfind("\n", 0, position) + 1 : position]
    expected_line = without_placeholders(_line_at(before + expected, len(before) + same), "…")
    return quote_line(_line_at(prompt, position + same)), quote_line(expected_line)


def _line_at(text: str, position: int) -> str:
    end = text.find("\n", position)
    return text[text.rfind("\n", 0, position) + 1 : end if end >= 0 else None]


def without_placeholders(twin_prompt: str, instead: str) -> str:
    """Return a twin's prompt with another text for each placeholder."""
    return PLACEHOLDER.sub(instead, twin_prompt)


RENDERING_ERRORS = (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""Exceptions that a template may raise on a conversation that it does not support."""

LENGTH_FACTOR, EXTRA_CHARACTERS = 3, 16_384
"""Longest prompt: so many times the length of the conversation as JSON, and so many characters more.

Indented schemas take twice the length, the longest instructions of known templates some 5,000 characters. Without a
bound a template could fill the engine's memory, or a round's time, which would count as an infrastructure fault and
cost all models of the round their scores.
"""

_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}>")
"""The address in the representation of a Python function."""


def compare_with_twin(template: TemplateRenderer, conversation: Conversation, prompt: str) -> Finding | None:
    """Return the finding in a prompt that the template wrote for a conversation; None if it only lays the words out.

    A template that raises an exception on a twin, but not on the conversation, is refused, too.
    """
    source = json.dumps(conversation)
    longest = LENGTH_FACTOR * len(source) + EXTRA_CHARACTERS
    if len(prompt) > longest:
        explanation = f"it writes {len(prompt)} characters for a conversation that calls for {longest} at most"
        return Finding(Rule.LENGTH, Severity.REFUSE, explanation)
    twin = make_twin(*conversation)
    try:
        written = template.render(twin.messages, twin.tools)
    except RENDERING_ERRORS as error:
        return _difference("the prompt exists for one text only", f"{type(error).__name__}: {error}")
    return (
        _compare_prompts(twin, prompt, written)
        or _check_own_words(written)
        or _check_completeness(twin, written)
        or _compare_unpadded(template, twin, written)
        or _compare_shapes(template, twin, written, hashlib.sha256(source.encode()).digest())
    )


def _compare_prompts(twin: Twin, prompt: str, written: str) -> Finding | None:
    found = difference(twin, prompt, written)
    if found is None:
        return None
    line, expected = found
    return _difference("it writes something else for other texts of the same shape", f"{line}  instead of  {expected}")


def _check_completeness(twin: Twin, written: str) -> Finding | None:
    """Return the finding in a prompt that has some of the tools, of their parameters, or of the question's lines."""
    present = set(PLACEHOLDER.findall(written.lower()))
    said = set(PLACEHOLDER.findall(json.dumps(twin.messages)))
    functions = [_function(tool) for tool in twin.tools or []]
    asked: Mapping[str, Any] = next((said for said in reversed(twin.messages) if said.get("role") == "user"), {})
    question = asked.get("content")
    groups = {
        "tools": [
            names
            for function in functions
            if not said.intersection(names := PLACEHOLDER.findall(str(function.get("name"))))
        ],
        "parameters": [[name] for function in functions for name in _parameters(function)],
        "question": [PLACEHOLDER.findall(line) for line in question.split("\n")] if isinstance(question, str) else [],
    }
    for what, members in groups.items():
        there = {present.issuperset(found) for found in members if found}
        if len(there) > 1:
            return _difference(f"it leaves out a part of the {what}", "")
    return None


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    inner = tool.get("function")
    return inner if isinstance(inner, dict) else tool


def _parameters(function: dict[str, Any]) -> list[str]:
    schema = function.get("parameters")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return list(properties) if isinstance(properties, dict) else []


_WHITE_SPACE = re.compile(r"\s|\\+(?:[tnrfv]|u[0-9a-f]{4}|x[0-9a-f]{2})")
"""White space, plain or as JSON and Python write it."""
_SHOWN = 40
"""Number of characters before and after a difference in texts without white space that a message shows."""


def _compare_unpadded(template: TemplateRenderer, twin: Twin, written: str) -> Finding | None:
    """Return the finding in a template that writes something by the white space at the ends of texts and lines."""
    plain = unpadded(twin)
    if (plain.messages, plain.tools) == (twin.messages, twin.tools):
        return None
    try:
        again = template.render(plain.messages, plain.tools)
    except RENDERING_ERRORS as error:
        return _difference("the prompt exists for one layout only", f"{type(error).__name__}: {error}")
    before, after = (_WHITE_SPACE.sub("", text) for text in (written, again))
    if before == after:
        return None
    shown = [without_placeholders(text, "…") for text in (before, after)]
    shared = next((i for i, (a, b) in enumerate(zip(*shown, strict=False)) if a != b), min(map(len, shown)))
    start = max(0, shared - _SHOWN)
    line, expected = (quote_line(text[start : start + 2 * _SHOWN]) for text in shown)
    return _difference("what it writes depends on white space at the ends of texts", f"{line}  instead of  {expected}")


def _compare_shapes(template: TemplateRenderer, twin: Twin, written: str, key: bytes) -> Finding | None:
    """Return the finding in a template that writes something by a counted property of tools or texts."""
    larger, turned = grown(twin, key), reversed_twin(twin)
    if larger.messages != twin.messages or larger.tools:
        try:
            again = _render_grown(template, twin, larger, key)
        except RENDERING_ERRORS as error:
            return _difference("the prompt exists for one shape only", f"{type(error).__name__}: {error}")
        found = _missing_piece(written, again)
        if found is not None:
            return _difference("what it writes depends on how many tools, parameters or lines there are", found)
    if json.dumps(turned.tools) != json.dumps(twin.tools):
        try:
            again = template.render(turned.messages, turned.tools)
        except RENDERING_ERRORS as error:
            return _difference("the prompt exists for one order only", f"{type(error).__name__}: {error}")
        if _words(written) != _words(again):
            more = sorted((_words(written) - _words(again)) + (_words(again) - _words(written)))
            return _difference("what it writes depends on the order of tools or parameters", " ".join(more)[:200])
    return None


def _render_grown(template: TemplateRenderer, twin: Twin, larger: Twin, key: bytes) -> str:
    """Return the prompt of the grown twin, without parameters of further types if the template has no form for them."""
    try:
        return template.render(larger.messages, larger.tools)
    except RENDERING_ERRORS:
        larger = grown(twin, key, more_types=False)
        return template.render(larger.messages, larger.tools)


def _missing_piece(written: str, larger: str) -> str | None:
    """Return what the template writes between placeholders of a twin, but not between those of the grown one."""
    pieces, others = list(_pieces(written)), list(_pieces(larger))
    if pieces[0] != others[0] or pieces[-1] != others[-1]:
        return quote_line((pieces[0] if pieces[0] != others[0] else pieces[-1])[1])
    remaining = iter(others)
    for piece in pieces:
        if all(other != piece for other in remaining):
            return quote_line(piece[1])
    return None


_IMPORT = re.compile(
    r"^from (?:enum|typing|pydantic|dataclasses) import "
    r"(?:(?:Any|BaseModel|Dict|Enum|Field|List|Literal|Optional|Tuple|Union|dataclass)(?:, )?)+\n",
    re.MULTILINE,
)
"""A line that templates write once if any parameter needs it."""


def _pieces(written: str) -> Iterator[tuple[str, str]]:
    """Yield each constant text with the place of the placeholder before it; empty for the first."""
    written = _IMPORT.sub("", written)
    constants, placeholders = PLACEHOLDER.split(written), PLACEHOLDER.findall(written)
    yield "", constants[0]
    for placeholder, constant in zip(placeholders, constants[1:], strict=True):
        yield place_of(placeholder), constant


_WORD = re.compile(r"\w+|\W")


def _words(written: str) -> Counter[str]:
    return Counter(_WORD.findall(without_placeholders(written, "\0")))


def _check_own_words(written: str) -> Finding | None:
    if _ADDRESS.search(written):
        explanation = "it writes out a function, which looks different in every process"
        return Finding(Rule.NONDETERMINISM, Severity.REFUSE, explanation)
    name = next(find_names(without_placeholders(written, " ")), None)
    if name is None:
        return None
    return Finding(Rule.BENCHMARK, Severity.REFUSE, f"it writes {name}, a function of a known benchmark, by itself")


def _difference(explanation: str, text: str) -> Finding:
    return Finding(Rule.DIFFERENCE, Severity.REFUSE, explanation, text=text[:400])


def run_probe(template: TemplateRenderer) -> list[Finding]:
    """Return the findings of a template on all probe conversations. Call it in a sandbox: it runs untrusted code.

    A template with variables that switch thinking is tried with all of their values, so that nothing hides behind one.
    """
    switches = (None, True, False) if template.names_thinking else (None,)
    variants = [template.with_thinking(thinking) for thinking in switches]
    rendered, first_error = 0, ""
    for conversation in probe_conversations():
        for variant in variants:
            try:
                prompt = variant.render(*conversation)
            except RENDERING_ERRORS as error:
                first_error = first_error or error_line(error)
                continue
            rendered += 1
            finding = compare_with_twin(variant, conversation, prompt)
            if finding is not None:
                return [finding]
    if rendered:
        return []
    return [Finding(Rule.BROKEN, Severity.REFUSE, f"it fails on every conversation: {first_error[:200]}")]
