"""Where chat templates are, and which one is used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.chat_templates.audit.findings import Severity, refusals
from bitagent_evaluator.models.validation.chat import template_notes
from bitagent_evaluator.models.validation.template_audit import audit_template
from bitagent_evaluator.models.validation.templates import Template, find_templates, template_files
from bitagent_evaluator.sandbox.protocol import Refused

JINJA, JSON, TOOLS = "chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja"
RAG = "additional_chat_templates/rag.jinja"
SOUND = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


def wrapped(value: object) -> bytes:
    return json.dumps({"chat_template": value}).encode()


NAMED = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
PLACES: dict[str, tuple[dict[str, bytes], Any, tuple[str | None, str | None]]] = {
    "none": ({}, None, (None, None)),
    "in the configuration": ({}, "inside", ("inside", "inside")),
    "a file before the configuration": ({JINJA: b"file"}, "inside", ("file", "file")),
    "a file of a folder": ({JINJA: b"plain", TOOLS: b"tools"}, "inside", ("plain", "tools")),
    "the folder alone": ({TOOLS: b"tools"}, "inside", ("tools", "tools")),
    "another name in the folder": ({JINJA: b"plain", RAG: b"x"}, None, ("plain", "plain")),
    "named, as a list": ({}, NAMED, ("plain", "tools")),
    "named, as an object": ({}, {"default": "plain", "tool_use": "tools"}, ("plain", "tools")),
    "named, without a default": ({}, [{"name": "tool_use", "template": "tools"}], ("tools", "tools")),
    "named, neither": ({}, [{"name": "rag", "template": "x"}], (None, None)),
    "a processor's file": ({JSON: wrapped("json")}, None, ("json", "json")),
    "a processor's file with names": (
        {JSON: wrapped({"default": "plain", "tool_use": "tools"})},
        None,
        ("plain", "tools"),
    ),
    "the configuration before a processor's": ({JSON: wrapped("json")}, "inside", ("inside", "inside")),
    "a malformed list": ({}, [{"name": "rag", "template": "x"}, "default", {"name": 1}, {"template": 1}], (None, None)),
    "a number": ({}, 7, (None, None)),
    "an empty file": ({JINJA: b""}, "inside", ("", "")),
}


@pytest.mark.parametrize(("small", "setting", "sources"), PLACES.values(), ids=PLACES)
def test_place_of_the_templates(small: dict[str, bytes], setting: Any, sources: tuple[str | None, str | None]) -> None:
    found = find_templates(small, {"chat_template": setting})
    assert (found.default and found.default.source, found.tool_use and found.tool_use.source) == sources
    assert (found.digest is None) == (sources[0] is None)
    assert len(found.distinct) == len(set(sources) - {None})


def test_unused_templates_and_files_are_named() -> None:
    found = find_templates({JINJA: b"a", RAG: b"b", JSON: wrapped("c")}, {"chat_template": "d"})
    assert found.default == Template(JINJA, "a")
    assert set(found.unused) == {RAG, JSON, "tokenizer_config.json"}


def test_digest_counts_every_template_that_is_used() -> None:
    def digest(**small: bytes) -> str | None:
        return find_templates(
            {{"plain": JINJA, "tools": TOOLS, "rag": RAG}[key]: v for key, v in small.items()}, {}
        ).digest

    one, two = digest(plain=b"a"), digest(plain=b"a", tools=b"b")
    assert one == digest(plain=b"a", rag=b"b") == digest(plain=b"a", tools=b"a")
    assert len({one, two, digest(plain=b"a", tools=b"c"), digest(plain=b"b", tools=b"a")}) == 4


def test_files_that_may_hold_a_template() -> None:
    names = [
        JINJA,
        JSON,
        TOOLS,
        "tokenizer_config.json",
        "additional_chat_templates/../x.jinja",
        "x/y.jinja",
        "a.jinja",
    ]
    assert template_files(names) == sorted(names[:4])


def test_malformed_file_is_refused() -> None:
    with pytest.raises(Refused, match="line 1"):
        find_templates({JSON: b"{,"}, {})


MISTAKES = {
    "empty": b"",
    "blank": b" \n\t",
    "mark alone": b"\xef\xbb\xbf",
    "utf-16": SOUND.encode("utf-16"),
    "latin": b"{{ messages }} \xe9",
}


@pytest.mark.parametrize("content", MISTAKES.values(), ids=MISTAKES)
def test_template_without_a_prompt_is_refused(content: bytes) -> None:
    (template,) = find_templates({JINJA: content}, {}).distinct
    findings = audit_template(template, {})
    assert template.mistake and [finding.severity for finding in findings] == [Severity.REFUSE]


def test_byte_order_mark_is_noted() -> None:
    (template,) = find_templates({JINJA: b"\xef\xbb\xbf" + SOUND.encode()}, {}).distinct
    findings = audit_template(template, {})
    assert not refusals(findings)
    assert any("byte-order mark" in finding.explanation for finding in findings)


MALFORMED: dict[str, tuple[dict[str, bytes], Any, list[str]]] = {
    "a number": ({}, 7, ["chat_template in tokenizer_config.json is a number"]),
    "true": ({}, True, ["chat_template in tokenizer_config.json is true or false"]),
    "an empty list": ({}, [], ["chat_template in tokenizer_config.json is an empty list"]),
    "a number in a file before": ({JSON: wrapped(1.5)}, None, ["chat_template in chat_template.json is a number"]),
    "a null under a name": ({}, {"default": None}, ["tokenizer_config.json (default) is null"]),
    "an object under a name": (
        {},
        [{"name": "default", "template": {}}],
        ["tokenizer_config.json (default) is an object"],
    ),
    "a text in a list": ({}, ["{{ x }}"], ["tokenizer_config.json (an entry) is a text without a name"]),
    "beside a sound one": ({JINJA: b"x"}, 7, ["chat_template in tokenizer_config.json is a number"]),
    "sound": ({}, NAMED, []),
    "none": ({}, None, []),
}


@pytest.mark.parametrize(("small", "setting", "said"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_template_is_said(small: dict[str, bytes], setting: Any, said: list[str]) -> None:
    found = find_templates(small, {"chat_template": setting})
    assert list(found.malformed) == said
    notes = [note for note in template_notes(found) if note.startswith("ignored")]
    assert len(notes) == bool(said)
