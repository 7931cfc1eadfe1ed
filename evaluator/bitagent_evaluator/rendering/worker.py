"""The far side: holds one model's template and tokenizer and answers render, encode and decode.

A template of the model's own is audited when it is loaded, and every prompt that it writes is compared with the one that it writes for
the same conversation without its words (`safety.audit`): a template that knows the tasks is refused before an engine sees a prompt.

A conversation that the template itself raises on, such as one whose roles do not alternate, costs only that conversation its prompt. One
that reaches for Python, or that the audit finds fault with, costs the model everything.

Reasons in refusals are those of the contract: TemplateRefused for the template, BadTokenizer for the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from tokenizers import Tokenizer

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.rendering.normalizer import keeps_words
from bitagent_evaluator.rendering.template import CHATML, ChatTemplate
from bitagent_evaluator.rendering.tokens import end_id, special_tokens, stop_ids
from bitagent_evaluator.safety.audit import probe, static
from bitagent_evaluator.safety.audit.conversations import Conversation
from bitagent_evaluator.safety.audit.finding import refusals, summary
from bitagent_evaluator.safety.configuration import parse_object
from bitagent_evaluator.safety.selection import CONFIG, GENERATION_CONFIG, SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG
from bitagent_evaluator.safety.template import template_source

MAX_CHARACTERS = 32 << 20
"""Of all prompts of one request together."""
TOKENS_PER_BYTE, TOKENS_PER_TEXT = 2, 64
"""Most tokens that a text makes. Whole texts in single bytes make one a byte, and a few that begin and end it; a post-processor or normalizer
that repeats it could fill any memory with one question.
"""


class RenderingWorker:
    """Answers `{"do": "tokenizer" | "template" | "render" | "encode" | "decode", ...}`; "tokenizer" comes first, "template" before "render"."""

    def __init__(self) -> None:
        self._template: ChatTemplate | None = None
        self._is_ours = False
        self._tokenizer: Any = None
        self._special: dict[str, str] = {}
        self._actions: Mapping[str, Callable[[dict[str, Any], Mapping[str, bytes]], dict[str, Any]]] = {
            "tokenizer": self._load_tokenizer,
            "template": self._load_template,
            "render": self._render,
            "encode": self._encode,
            "decode": self._decode,
        }

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Answer one request."""
        return self._actions[body["do"]](body, blobs)

    def _load_tokenizer(self, body: dict[str, Any], small: Mapping[str, bytes]) -> dict[str, Any]:
        settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
        self._special = special_tokens(_optional(small, SPECIAL_TOKENS, Reason.BAD_TOKENIZER), settings)
        try:
            self._tokenizer = Tokenizer.from_buffer(small[TOKENIZER])
        except Exception as error:  # noqa: BLE001 - the library raises plain Exception for whatever it cannot read
            raise Refused(Reason.BAD_TOKENIZER, f"{TOKENIZER}: {_text(error)}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        config = parse_object(CONFIG, small[CONFIG], Reason.BAD_CONFIG)
        configurations: list[Mapping[str, Any]] = [config, _optional(small, GENERATION_CONFIG, Reason.BAD_CONFIG)]
        id_of = self._tokenizer.token_to_id
        also = body["stop_tokens"]
        return {
            "stop_ids": stop_ids(self._special, configurations, id_of, config["vocab_size"], also=also),
            "end_id": end_id(self._special, id_of, also=also),
        }

    def _load_template(self, body: dict[str, Any], small: Mapping[str, bytes]) -> dict[str, Any]:
        settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
        source = template_source(small, settings)
        try:
            self._template = ChatTemplate(CHATML if source is None else source, self._special)
            findings = [] if source is None else static.read(source)
        except (TemplateError, ValueError) as error:
            raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template: {_text(error)}") from None
        if refusals(findings):
            raise Refused(Reason.TEMPLATE_REFUSED, summary(findings))
        self._is_ours = source is None
        return {"uses_tools": self._template.uses_tools}

    def _render(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """A `text` for each chat, or why the template has none: `refused`."""
        if self._template is None:
            raise ValueError("template comes first")
        prompts: list[dict[str, str]] = []
        characters = 0
        for chat in body["chats"]:
            try:
                text = self._written(self._template, (chat["messages"], chat["tools"]))
            except probe.RENDERING_ERRORS as error:
                prompts.append({"refused": f"the chat template: {_text(error)}"})
                continue
            characters += len(text)
            if characters > MAX_CHARACTERS:
                raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template makes more than {MAX_CHARACTERS} characters")
            prompts.append({"text": text})
        return {"prompts": prompts}

    def _written(self, template: ChatTemplate, conversation: Conversation) -> str:
        """The prompt of a conversation. Raises what the template raises on it, and Refused for a template that must not be used."""
        try:
            text = template.render(*conversation)
        except SecurityError as error:
            raise Refused(Reason.TEMPLATE_REFUSED, f"the chat template: {_text(error)}") from None
        finding = None if self._is_ours else probe.compare(template, conversation, text)
        if finding is not None:
            raise Refused(Reason.TEMPLATE_REFUSED, summary([finding]))
        return text

    def _encode(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Token ids; with special tokens, those that the tokenizer's own post-processor adds, such as one that begins a sequence."""
        if not all(keeps_words(self._tokenizer.normalizer, text) for text in body["texts"]):
            raise Refused(
                Reason.BAD_TOKENIZER,
                f"{TOKENIZER}: the normalizer rewrites words of a prompt; it may change their form only",
            )
        ids: list[list[int]] = [[]] * len(body["texts"])
        for special in (False, True):
            chosen = [place for place, wanted in enumerate(body["add_special_tokens"]) if wanted is special]
            texts = [body["texts"][place] for place in chosen]
            encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=special)
            for place, text, item in zip(chosen, texts, encoded, strict=True):
                ids[place] = _within(text, item.ids)
        return {"ids": ids}

    def _decode(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        texts = self._tokenizer.decode_batch(body["ids"], skip_special_tokens=body["skip_special_tokens"])
        return {"texts": [text[: body["longest"]] for text in texts]}


def _within(text: str, ids: list[int]) -> list[int]:
    most = TOKENS_PER_BYTE * len(text.encode()) + TOKENS_PER_TEXT
    if len(ids) > most:
        message = f"{TOKENIZER}: a text of {len(text)} characters becomes {len(ids)} tokens, allowed {most}"
        raise Refused(Reason.BAD_TOKENIZER, message)
    return ids


def _optional(small: Mapping[str, bytes], name: str, reason: Reason) -> dict[str, Any]:
    return parse_object(name, small[name], reason) if name in small else {}


def _text(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first[:200]}"
