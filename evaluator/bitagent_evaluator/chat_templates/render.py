"""Render chat templates like the common tokenizer libraries, and the same on every validator.

The environment is theirs (trimmed blocks, loop controls, `{% generation %}`, `tojson`, `raise_exception`), but the time
is fixed and `|random` does not exist. Jinja's sandbox keeps a template away from Python; time and memory are bounded by
the sandbox process that runs this module.
"""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jinja2 import TemplateError, meta
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Name, Node, Template
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

SPECIAL_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that are variables of a template."""
THINKING_NAMES = ("enable_thinking", "thinking")
"""Variables by which templates switch thinking: the first of Qwen3, SmolLM3 and GLM, the second of Granite, DeepSeek
V3.1 and Hermes 4. Both are set, since each family reads its own."""
MAX_SOURCE_CHARACTERS = 64 << 10
MAX_PROMPT_CHARACTERS = 256 << 10
FROZEN_TIME = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""The present time of every template: a prompt must not depend on when it is rendered."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Template for models without one."""


def thinking_variables(thinking: bool | None) -> dict[str, bool]:
    """Return the variables for a template that is to switch thinking on or off; none for None."""
    return {} if thinking is None else dict.fromkeys(THINKING_NAMES, thinking)


class _Generation(Extension):
    """`{% generation %}` marks an answer for training; it does not change the prompt."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> Node | list[Node]:
        """Return the block's content."""
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
    environment.globals.update(raise_exception=_raise_exception, strftime_now=FROZEN_TIME.strftime)
    del environment.globals["lipsum"]
    return environment


def parse_template(source: str) -> Template:
    """Return the template's syntax tree; nothing is run.

    Raises jinja2.TemplateError if the source is not a template, ValueError if it is too long.
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise ValueError(f"the template has {len(source)} characters, allowed {MAX_SOURCE_CHARACTERS}")
    return _environment().parse(source)


class TemplateRenderer:
    """One template. Use it in a sandbox: any method may run untrusted code, and raise whatever that leads to."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        tree = parse_template(source)
        self.uses_tools = "tools" in meta.find_undeclared_variables(tree)
        self.names_thinking = any(name.name in THINKING_NAMES for name in tree.find_all(Name))
        """Whether a variable that switches thinking occurs in it; if not, no value of them changes a prompt."""
        self._special_tokens = dict(special_tokens)
        self._switch: dict[str, bool] = {}
        self._template = _environment().from_string(source)

    def with_thinking(self, thinking: bool | None) -> TemplateRenderer:
        """Return the template with this value of the variables that switch thinking; None leaves them undefined."""
        other = copy.copy(self)
        other._switch = thinking_variables(thinking)
        return other

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str:
        """Return the prompt up to the start of the model's answer.

        Raises ValueError if it is too long, and if macros call themselves without end, as one of a public template does
        for a type that it does not know.
        """
        characters, pieces = 0, []
        try:
            for piece in self._template.generate(
                messages=messages,
                tools=tools,
                documents=None,
                add_generation_prompt=True,
                **self._special_tokens,
                **self._switch,
            ):
                characters += len(piece)
                if characters > MAX_PROMPT_CHARACTERS:
                    raise ValueError(f"a prompt of more than {MAX_PROMPT_CHARACTERS} characters")
                pieces.append(piece)
        except RecursionError:
            raise ValueError("macros are nested too deeply") from None
        return "".join(pieces)
