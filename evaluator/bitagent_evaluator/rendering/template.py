"""A chat template as the common tokenizer libraries render it, without what would make it differ between two validators.

Same environment as theirs (trimmed blocks, loop controls, `{% generation %}`, `tojson`, `raise_exception`), but the clock stands still and
`|random` does not exist. The sandbox keeps a template away from Python; it does not bound time or memory, which the bounded child does.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jinja2 import TemplateError, meta
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node, Template
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_SOURCE_CHARACTERS = 64 << 10
MAX_PROMPT_CHARACTERS = 256 << 10
CLOCK = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""What every template takes for now: a prompt must not depend on when it is rendered."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Template for models that ship none."""


class _Generation(Extension):
    """`{% generation %}` marks an answer for training; for rendering it is transparent."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> Node | list[Node]:
        """The block's content."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(value: object, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols], cache_size=0
    )
    environment.filters["tojson"] = _tojson
    del environment.filters["random"]
    environment.globals.update(raise_exception=_raise_exception, strftime_now=CLOCK.strftime)
    del environment.globals["lipsum"]
    return environment


def parse(source: str) -> Template:
    """The template's syntax tree; nothing is run. Raises jinja2.TemplateError, and ValueError when the source is too long."""
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise ValueError(f"the template has {len(source)} characters, allowed {MAX_SOURCE_CHARACTERS}")
    return _environment().parse(source)


class ChatTemplate:
    """One template. Every method may raise whatever a hostile template provokes; run it in the bounded child."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        self.uses_tools = "tools" in meta.find_undeclared_variables(parse(source))
        self._special_tokens = dict(special_tokens)
        self._template = _environment().from_string(source)

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str:
        """The prompt up to where the model's answer begins."""
        characters, pieces = 0, []
        for piece in self._template.generate(
            messages=messages, tools=tools, documents=None, add_generation_prompt=True, **self._special_tokens
        ):
            characters += len(piece)
            if characters > MAX_PROMPT_CHARACTERS:
                raise ValueError(f"a prompt of more than {MAX_PROMPT_CHARACTERS} characters")
            pieces.append(piece)
        return "".join(pieces)
