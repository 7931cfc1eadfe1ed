"""The code in the sandbox: holds one model's chat template and tokenizer; renders, encodes and decodes.

A model's own template is audited when it is loaded, and every prompt that it writes is compared with the one that it
writes for the same conversation without its words (`chat_templates.audit`): a template that recognises tasks is refused
before an engine sees a prompt.

Every text that is tokenized has to decode back to itself (`models.validation.tokenizer_rules`).

A template that raises on a conversation, such as one whose roles do not alternate, costs only that conversation its
prompt. A template that reaches for Python, or that fails the audit, is refused as a whole.

Refusals have the contract's reasons: TemplateRefused for the template, BadTokenizer for the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError

from bitagent_crds.conditions import Reason
from bitagent_evaluator.chat_templates.audit.conversations import Conversation
from bitagent_evaluator.chat_templates.audit.differential import RENDERING_ERRORS, compare_with_twin
from bitagent_evaluator.chat_templates.audit.findings import refusals, summary
from bitagent_evaluator.chat_templates.audit.taint import analyse_template
from bitagent_evaluator.chat_templates.render import CHATML, TemplateRenderer
from bitagent_evaluator.models.validation.chat import NO_SWITCH, switches_thinking, template_notes, turn_end_notes
from bitagent_evaluator.models.validation.files import (
    CONFIG,
    GENERATION_CONFIG,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    parse_object,
)
from bitagent_evaluator.models.validation.templates import find_templates
from bitagent_evaluator.models.validation.tokenizer import (
    end_token_id,
    special_tokens,
    stop_token_ids,
)
from bitagent_evaluator.models.validation.tokenizer_rules.probes import load_tokenizer
from bitagent_evaluator.models.validation.tokenizer_rules.round_trip import RoundTrip
from bitagent_evaluator.parsing.named_calls import CALL_MARKS
from bitagent_evaluator.parsing.thinking import END_OF_THINKING, ENDS_OF_THINKING, STARTS_OF_THINKING
from bitagent_evaluator.sandbox.protocol import Refused
from bitagent_evaluator.support.text import error_line

_MARKS = CALL_MARKS.union(STARTS_OF_THINKING, ENDS_OF_THINKING)
MAX_CHARACTERS = 32 << 20
"""Maximum number of characters of all prompts of one request together."""
TOKENS_PER_BYTE, TOKENS_PER_TEXT = 2, 64
"""Maximum number of tokens of a text, per byte and in addition.

A tokenizer of single bytes makes one token of each byte, and a few that begin and end the text. A post-processor or
normalizer that repeats the text could fill any memory with one prompt.
"""


class TokenizerWorker:
    """Handles requests `{"do": "tokenizer" | "template" | "render" | "encode" | "decode", ...}`.

    "tokenizer" comes first, "template" before "render".
    """

    def __init__(self) -> None:
        self._templates: tuple[TemplateRenderer, TemplateRenderer] | None = None
        """The templates for prompts without and with tools."""
        self._template_is_ours = False
        self._tokenizer: Any = None
        self._round_trip: RoundTrip | None = None
        self._marks: dict[int, str] = {}
        """Marks of thoughts and calls that are special tokens. They are written out: an answer is read by them."""
        self._beyond: dict[int, list[int]] = {}
        """Added tokens that the vocabulary does not have, and the ids that stand for their text."""
        self._special: dict[str, str] = {}
        self._stop_ids: list[int] = []
        self._actions: Mapping[str, Callable[[dict[str, Any], Mapping[str, bytes]], dict[str, Any]]] = {
            "tokenizer": self._load_tokenizer,
            "template": self._load_template,
            "render": self._render,
            "encode": self._encode,
            "decode": self._decode,
        }

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the reply to one request. Raises Refused."""
        return self._actions[body["do"]](body, blobs)

    def _load_tokenizer(self, body: dict[str, Any], small: Mapping[str, bytes]) -> dict[str, Any]:
        settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
        self._special = special_tokens(_optional(small, SPECIAL_TOKENS, Reason.BAD_TOKENIZER), settings)
        self._tokenizer = load_tokenizer(small[TOKENIZER])
        self._round_trip = RoundTrip(self._tokenizer)
        added = self._tokenizer.get_added_tokens_decoder()
        self._marks = {at: token.content for at, token in added.items() if token.special and token.content in _MARKS}
        config = parse_object(CONFIG, small[CONFIG], Reason.BAD_CONFIG)
        self._beyond = {at: self._in_halves(token.content) for at, token in added.items() if at >= config["vocab_size"]}
        configurations: list[Mapping[str, Any]] = [config, _optional(small, GENERATION_CONFIG, Reason.BAD_CONFIG)]
        id_of = self._tokenizer.token_to_id
        also = body["stop_tokens"]
        self._stop_ids = stop_token_ids(self._special, configurations, id_of, config["vocab_size"], also=also)
        return {
            "stop_ids": self._stop_ids,
            "end_id": end_token_id(self._special, id_of, also=also),
            "end_of_thinking_id": self._token_of(END_OF_THINKING),
        }

    def _in_halves(self, text: str) -> list[int]:
        """Return the ids of a token's text, in two parts of which neither is the token."""
        parts = text[: len(text) // 2], text[len(text) // 2 :]
        return [at for part in parts for at in self._tokenizer.encode(part, add_special_tokens=False).ids]

    def _token_of(self, text: str) -> int | None:
        """Return the token that is this text, and is written out as it; None without one."""
        token: int | None = self._tokenizer.token_to_id(text)
        written = None if token is None else self._tokenizer.decode([token], skip_special_tokens=False)
        return token if written == text else None

    def _load_template(self, body: dict[str, Any], small: Mapping[str, bytes]) -> dict[str, Any]:
        settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
        found = find_templates(small, settings)
        for template in found.distinct:
            if template.mistake:
                raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template: {template.mistake}")
        default = self._renderer(found.default.source if found.default else None)
        tool_use = found.tool_use.source if found.tool_use else None
        with_tools = default if len(found.distinct) < 2 else self._renderer(tool_use)
        thinking = body["thinking"]
        self._templates = (default.with_thinking(thinking), with_tools.with_thinking(thinking))
        self._template_is_ours = found.default is None
        notes = template_notes(found)
        if thinking is not None and not any(map(switches_thinking, self._templates)):
            notes.append(NO_SWITCH)
        return {
            "uses_tools": with_tools.uses_tools,
            "template_notes": notes,
            "turn_end_notes": turn_end_notes(found, self._special, self._stop_ids, self._tokenizer),
        }

    def _renderer(self, source: str | None) -> TemplateRenderer:
        """Return the renderer of a template, or that of models without one. Refuses a template that fails the audit."""
        try:
            renderer = TemplateRenderer(CHATML if source is None else source, self._special)
            findings = [] if source is None else analyse_template(source)
        except (TemplateError, ValueError) as error:
            raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template: {error_line(error)}") from None
        if refusals(findings):
            raise Refused(Reason.TEMPLATE_REFUSED, summary(findings))
        return renderer

    def _render(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return `text` for each chat, or `refused` with the template's error."""
        if self._templates is None:
            raise ValueError("template comes first")
        default, with_tools = self._templates
        prompts: list[dict[str, str]] = []
        characters = 0
        for chat in body["chats"]:
            try:
                text = self._render_one(
                    default if chat["tools"] is None else with_tools, (chat["messages"], chat["tools"])
                )
            except RENDERING_ERRORS as error:
                prompts.append({"refused": f"the chat template: {error_line(error)}"})
                continue
            characters += len(text)
            if characters > MAX_CHARACTERS:
                raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template makes more than {MAX_CHARACTERS} characters")
            prompts.append({"text": text})
        return {"prompts": prompts}

    def _render_one(self, template: TemplateRenderer, conversation: Conversation) -> str:
        """Return the prompt of a conversation. Raises what the template raises, and Refused if it must not be used."""
        try:
            text = template.render(*conversation)
        except SecurityError as error:
            raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template: {error_line(error)}") from None
        finding = None if self._template_is_ours else compare_with_twin(template, conversation, text)
        if finding is not None:
            raise Refused(Reason.TEMPLATE_REFUSED, summary([finding]))
        return text

    def _encode(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return token ids, with the special tokens of the tokenizer's post-processor where they are asked for.

        A token that the vocabulary does not have becomes ids of its text: a task, or an answer that is shown again, may
        have that text, and the model is not at fault for it. Refuses a tokenizer whose ids do not give a text back.
        """
        if self._round_trip is None:
            raise ValueError("tokenizer comes first")
        ids: list[list[int]] = [[]] * len(body["texts"])
        for special in (False, True):
            chosen = [index for index, added in enumerate(body["add_special_tokens"]) if added is special]
            texts = [body["texts"][index] for index in chosen]
            encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=special)
            for index, text, item in zip(chosen, texts, encoded, strict=True):
                ids[index] = _check_count(text, self._within_vocabulary(item.ids))
                difference = self._round_trip.difference(text, ids[index], special=special)
                if difference is not None:
                    message = f"{TOKENIZER}: a prompt does not decode back to itself: {difference}"
                    raise Refused(Reason.BAD_TOKENIZER, message)
        return {"ids": ids}

    def _within_vocabulary(self, ids: list[int]) -> list[int]:
        if self._beyond.keys().isdisjoint(ids):
            return ids
        return [part for at in ids for part in self._beyond.get(at, [at])]

    def _decode(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        skip = body["skip_special_tokens"]
        texts = self._tokenizer.decode_batch(body["ids"], skip_special_tokens=skip)
        if skip and self._marks:
            texts = [self._with_marks(ids, text) for ids, text in zip(body["ids"], texts, strict=True)]
        return {"texts": [text[: body["max_characters"]] for text in texts]}

    def _with_marks(self, ids: list[int], text: str) -> str:
        """Return an answer's text with the marks of thoughts and calls, which a text without special tokens lacks."""
        places = [place for place, at in enumerate(ids) if at in self._marks]
        if not places:
            return text
        starts, ends = [0, *(place + 1 for place in places)], [*places, len(ids)]
        pieces = self._tokenizer.decode_batch(
            [ids[start:end] for start, end in zip(starts, ends, strict=True)], skip_special_tokens=True
        )
        marks = [self._marks[ids[place]] for place in places]
        return "".join(piece + mark for piece, mark in zip(pieces, [*marks, ""], strict=True))


def _check_count(text: str, ids: list[int]) -> list[int]:
    limit = TOKENS_PER_BYTE * len(text.encode()) + TOKENS_PER_TEXT
    if len(ids) > limit:
        message = f"{TOKENIZER}: a text of {len(text)} characters becomes {len(ids)} tokens, allowed {limit}"
        raise Refused(Reason.BAD_TOKENIZER, message)
    return ids


def _optional(small: Mapping[str, bytes], name: str, reason: Reason) -> dict[str, Any]:
    return parse_object(name, small[name], reason) if name in small else {}
