"""What a model's files say about a chat, and from which file each thing is: templates, end tokens, prompt format.

Notes name what costs a score and is not a reason to refuse a model, such as a template that ends answers with a marker
that is not an end token. `describe_files` runs in a sandbox, as `ChatWorker`, because it renders the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_evaluator.chat_templates.audit.differential import RENDERING_ERRORS
from bitagent_evaluator.chat_templates.render import CHATML, TemplateRenderer
from bitagent_evaluator.models.validation.files import (
    CONFIG,
    GENERATION_CONFIG,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    parse_object,
    quote,
)
from bitagent_evaluator.models.validation.quantization import SETTINGS_FILES, with_settings
from bitagent_evaluator.models.validation.question_notes import question_notes, unapplied_settings
from bitagent_evaluator.models.validation.templates import Templates, find_templates, template_files
from bitagent_evaluator.models.validation.tokenizer import can_be_encoded, special_tokens
from bitagent_evaluator.models.validation.tokenizer_rules.probes import load_tokenizer
from bitagent_evaluator.parsing.syntaxes import syntax_in_template
from bitagent_evaluator.sandbox.process import InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits

_WORKER = "bitagent_evaluator.models.validation.chat:ChatWorker"
_LIMITS = Limits(memory_bytes=768 << 20, cpu_seconds=5.0, answer_bytes=1 << 20)
_NAMED_FILES = (CONFIG, GENERATION_CONFIG, SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG, *SETTINGS_FILES)
_ANSWER, _NEXT = "This is an answer.", "This is the next question."
_TURNS = (("user", "This is a question."), ("assistant", _ANSWER), ("user", _NEXT))
_MARKER = re.compile(r"<[|｜][^<>\s]{1,60}[|｜]>|</?[A-Za-z_]{1,40}>|\[/?[A-Z_]{2,40}\]")
"""What looks like a marker of a chat format, whether the tokenizer has it as a token or not."""


@dataclass(frozen=True)
class EndToken:
    """A token that ends an answer."""

    id: int
    text: str
    """The token; empty if the tokenizer has none of this id."""
    files: tuple[str, ...]
    """The files that name it."""


@dataclass(frozen=True)
class ChatDescription:
    """What prompts are made with, and what ends an answer."""

    template: str = ""
    """File of the template for prompts without tools; empty for a model without one."""
    tool_template: str = ""
    """File of the template for prompts with tools."""
    prompt_format: str = ""
    """The format that `Auto` chooses; empty if the template must not be used."""
    answer_syntax: str = ""
    """The syntax of `parsing.syntaxes` in which the template writes calls; empty if it has no known mark of one."""
    switches_thinking: bool | None = None
    """Whether a template makes another prompt with thinking than without it; None if it must not be used."""
    end_tokens: tuple[EndToken, ...] = ()
    quantization: str = ""
    """File of the quantisation's settings; empty for plain weights."""
    notes: tuple[str, ...] = ()
    """What is likely to cost a score."""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ChatDescription:
        """Return the description whose fields these are, as JSON types."""
        tokens = tuple(EndToken(**{**token, "files": tuple(token["files"])}) for token in plain["end_tokens"])
        return cls(**{**plain, "end_tokens": tokens, "notes": tuple(plain["notes"])})


def described_files(names: Mapping[str, Any]) -> list[str]:
    """Return the files among `names` that the description needs, sorted."""
    return sorted({*template_files(names), *(name for name in _NAMED_FILES if name in names)})


def describe_files(small: Mapping[str, bytes], *, quantized: bool, render: bool) -> ChatDescription:
    """Return what a model's `described_files` say, which must have been validated.

    `quantized` says whether the weights are; templates are rendered only with `render`, which is for those that the
    audit accepts. Raises SandboxUnavailable.
    """
    try:
        with Sandbox(_WORKER, _LIMITS) as sandbox:
            request = {"quantized": quantized, "render": render}
            answer = sandbox.call(request, {name: small[name] for name in described_files(small)})
    except InputFault as fault:
        return ChatDescription(notes=(f"describing the chat {fault.message}",))
    return ChatDescription.from_plain(answer)


class ChatWorker:
    """Worker of the sandbox for requests `{"quantized": ..., "render": ...}` whose blobs are `described_files`."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the description as JSON types."""
        return asdict(describe(blobs, quantized=body["quantized"], render=body["render"]))


def describe(small: Mapping[str, bytes], *, quantized: bool, render: bool) -> ChatDescription:
    """Return what small files say; see `describe_files`. Raises Refused for files that are not by the rules."""
    settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
    config = parse_object(CONFIG, small[CONFIG], Reason.BAD_CONFIG)
    tokenizer = load_tokenizer(small[TOKENIZER])
    templates = find_templates(small, settings)
    more = {
        name: parse_object(name, small[name], Reason.BAD_CONFIG)
        for name in (GENERATION_CONFIG, SPECIAL_TOKENS)
        if name in small
    }
    special_sources = {SPECIAL_TOKENS: more.get(SPECIAL_TOKENS, {}), TOKENIZER_CONFIG: settings}
    tokens, notes = _end_tokens(
        {GENERATION_CONFIG: more.get(GENERATION_CONFIG, {}), CONFIG: config}, special_sources, tokenizer
    )
    notes += unapplied_settings(GENERATION_CONFIG, more.get(GENERATION_CONFIG, {}))
    notes += template_notes(templates)
    notes += _added_token_notes(settings, tokenizer)
    chosen, switches = "", None
    if render:
        special = special_tokens(*special_sources.values())
        ids = [token.id for token in tokens]
        notes += turn_end_notes(templates, special, ids, tokenizer)
        notes += question_notes(templates, special)
        chosen = _chosen_format(templates, special)
        switches = any(_switches_thinking(template.source, special) for template in templates.distinct)
    _, settings_file = with_settings(config, small, (".qweight",)) if quantized else ({}, "")
    return ChatDescription(
        template=templates.default.file if templates.default else "",
        tool_template=templates.tool_use.file if templates.tool_use else "",
        prompt_format=chosen,
        answer_syntax=_answer_syntax(templates),
        switches_thinking=switches,
        end_tokens=tuple(tokens),
        quantization=settings_file,
        notes=tuple(notes),
    )


def template_notes(templates: Templates) -> list[str]:
    """Return a note for templates that are never used, and one for what is there in the place of a template."""
    notes = []
    if templates.unused:
        files = ", ".join(quote(file)[1:-1] for file in templates.unused[:4])
        notes.append(f"never used: the chat template in {files}")
    if templates.malformed:
        what = "; ".join(quote(text)[1:-1] for text in templates.malformed[:4])
        notes.append(f"ignored, because it is not the text of a chat template: {what}")
    return notes


def _added_token_notes(settings: Mapping[str, Any], tokenizer: Any) -> list[str]:
    """Return a note on tokens that tokenizer_config.json adds, and tokenizer.json does not have."""
    added = settings.get("added_tokens_decoder")
    entries = (
        [entry.get("content") for entry in added.values() if isinstance(entry, dict)] if isinstance(added, dict) else []
    )
    texts = [text for text in entries if isinstance(text, str)]
    absent = [text for text in texts if not can_be_encoded(text) or tokenizer.token_to_id(text) is None]
    if not absent:
        return []
    return [
        f"{TOKENIZER_CONFIG}: added_tokens_decoder has {len(absent)} tokens that {TOKENIZER} does not have, such as "
        f"{quote(absent[0])}: they are read as plain text; save the tokenizer again with save_pretrained"
    ]


def _chosen_format(templates: Templates, special: Mapping[str, str]) -> str:
    template = templates.tool_use
    try:
        uses_tools = template is not None and TemplateRenderer(template.source, special).uses_tools
    except RENDERING_ERRORS:
        return ""
    return BuiltinPromptFormat.CHAT_TEMPLATE if uses_tools else BuiltinPromptFormat.BFCL


def _answer_syntax(templates: Templates) -> str:
    found = syntax_in_template(templates.tool_use.source) if templates.tool_use else None
    return found or ""


def _end_tokens(
    configurations: Mapping[str, Mapping[str, Any]], special_sources: Mapping[str, Mapping[str, Any]], tokenizer: Any
) -> tuple[list[EndToken], list[str]]:
    """Return the end tokens with the files that name them, and notes on what names none."""
    files: dict[int, list[str]] = {}
    notes: list[str] = []
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    for file, content in configurations.items():
        value = content.get("eos_token_id")
        stated = [token for token in (value if isinstance(value, list) else [value]) if token is not None]
        for token in filter(lambda token: _is_token(token, tokenizer), stated):
            files.setdefault(token, []).append(file)
        others = [token for token in stated if not _is_token(token, tokenizer)]
        if others:
            more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
            notes.append(
                f"{file}: eos_token_id {quote(others[0])}{more} is not a token of the tokenizer, which has {size}"
            )
        if content.get("stop_strings"):
            notes.append(f"{file}: stop_strings are not used; name an end token by eos_token_id")
    for file, content in special_sources.items():
        text = special_tokens(content).get("eos_token")
        token = None if text is None else tokenizer.token_to_id(text)
        if token is not None:
            files.setdefault(token, []).append(file)
        elif text is not None:
            notes.append(f"{file}: eos_token {quote(text)} is not a token of the tokenizer")
    if not files:
        notes.append("no file names an end token: answers run on to maxTokens; set eos_token_id in config.json")
    found = [EndToken(at, tokenizer.id_to_token(at) or "", tuple(names)) for at, names in sorted(files.items())]
    return found, notes


def _is_token(value: object, tokenizer: Any) -> bool:
    """Return whether a value is the id of a token. The library takes no number below 0 or beyond 32 bits."""
    return type(value) is int and 0 <= value < 1 << 32 and tokenizer.id_to_token(value) is not None


def turn_end_notes(templates: Templates, special: Mapping[str, str], stop_ids: list[int], tokenizer: Any) -> list[str]:
    """Return a note for each template that ends an answer with something that ends no generation."""
    added = {str(token.content): int(at) for at, token in tokenizer.get_added_tokens_decoder().items()}
    stops = [text for at in stop_ids if (text := tokenizer.id_to_token(at))]
    sources = [(template.file, template.source) for template in templates.distinct] or [("ChatML", CHATML)]
    notes = []
    for file, source in sources:
        try:
            after = text_after_answer(TemplateRenderer(source, special).render)
        except RENDERING_ERRORS:  # A conversation that it refuses says nothing.
            continue
        note = "" if after is None else _turn_end_note(after, added, stops)
        if note:
            without = "" if templates.distinct else "the model has no chat template and gets a plain one: "
            notes.append(f"{file}: {without}{note}")
    return notes


def text_after_answer(render: Callable[..., str]) -> str | None:
    """Return what a template writes between an answer and the next question; None if they are not both there."""
    text = render([{"role": role, "content": content} for role, content in _TURNS], None)
    _, answered, rest = text.partition(_ANSWER)
    between, asked, _ = rest.partition(_NEXT)
    return between if answered and asked else None


NO_SWITCH = "the chat template has no switch for thinking: On and Off make the same prompt"


def switches_thinking(template: TemplateRenderer) -> bool:
    """Return whether a template makes another prompt of a question with thinking than without it."""
    if not template.names_thinking:
        return False
    question = [{"role": "user", "content": _NEXT}]
    prompts = set()
    for thinking in (True, False):
        try:
            prompts.add(template.with_thinking(thinking).render(question, None))
        except RENDERING_ERRORS as error:
            prompts.add(f"{type(error).__name__}: {error}")
    return len(prompts) > 1


def _switches_thinking(source: str, special: Mapping[str, str]) -> bool:
    try:
        return switches_thinking(TemplateRenderer(source, special))
    except RENDERING_ERRORS:
        return False


def _turn_end_note(after: str, added: Mapping[str, int], stops: list[str]) -> str:
    """Return why generation does not end where the template ends an answer; empty if it does."""
    if any(stop in after for stop in stops):
        return ""
    after = after.lstrip()
    marker = max((token for token in added if token and after.startswith(token)), key=len, default=None)
    if marker is not None:
        return (
            f"it ends an answer with {quote(marker)} (token {added[marker]}), not an end token, so answers may "
            f"run on to maxTokens: add {added[marker]} to eos_token_id in generation_config.json"
        )
    written = _MARKER.match(after)
    if written is not None:
        return (
            f"it ends an answer with {quote(written[0])}, which is not one token of the tokenizer, so that nothing "
            "ends there: add it as a token, or write the end token"
        )
    return "it writes no end token after an answer, so answers may run on to maxTokens: write eos_token there"
