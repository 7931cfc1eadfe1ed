"""Texts that a tokenizer encodes and decodes in a sandbox, before it is admitted.

`probe_tokenizer` is for the rest of the evaluator. `ProbeWorker` runs in the sandbox's child. A tokenizer that this
version of `tokenizers` cannot read, that crashes or takes too long ends here, with the model's fault.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import TOKENIZER
from bitagent_evaluator.models.validation.tokenizer_rules.components import BLANK, parts_of
from bitagent_evaluator.models.validation.tokenizer_rules.round_trip import RoundTrip, spell, state_of
from bitagent_evaluator.models.validation.tokenizer_rules.vocabulary import check_added_texts
from bitagent_evaluator.sandbox.process import InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits, Refused
from bitagent_evaluator.support.text import error_line

PROBES = (
    "What's the weather in New York tomorrow? I can't say; they'll know at 10:30.",
    "  Two blanks first, \t a tab,\n\na line, \r\n another,   and three blanks.  ",
    '{"name": "get_forecast", "parameters": {"type": "dict", "required": ["city"], "count": 1234567.89}}',
    "def area(base: float, height: float = 5.0) -> float:\n    return 0.5 * base * height  # half\n",
    "[area(base=10, height=5), area(base=-3.25, unit='cm')]",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "Antidisestablishmentarianism_and_pneumonoultramicroscopicsilicovolcanoconiosis; translatesAutoresizingMask",
    "Fran\u00e7ois va \u00e0 la f\u00eate; Gr\u00fc\u00dfe aus M\u00fcnchen; ma\u00f1ana; za\u017c\u00f3\u0142\u0107.",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5.",
    "\u4eca\u5929\u5929\u6c14\u600e\u4e48\u6837\uff1f\u6771\u4eac\u306e\u5929\u6c17\u306f\u3001\u30ab\u30bf\u30ab"
    "\u30ca\u3002 \ud55c\uad6d\uc5b4",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd"
    " \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u20ac \u00bd \uff21\uff22 e\u0301 \ufb01 \u2122",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
)
"""Ordinary texts: sentences, white space, JSON, code, calls, long words, scripts, emoji, compatibility characters."""

_SEQUENCES, _SEQUENCE_TOKENS = 64, 24
"""Number and length of the sequences of token ids whose texts are compared with those of their tokens."""

_WORKER = "bitagent_evaluator.models.validation.tokenizer_rules.probes:ProbeWorker"
_LIMITS = Limits(memory_bytes=768 << 20, cpu_seconds=8.0, answer_bytes=1 << 20)
"""A tokenizer of 250,000 tokens takes 500 MB and three seconds."""


def probe_tokenizer(small: Mapping[str, bytes]) -> tuple[Reason, str] | None:
    """Return why a model's tokenizer is refused after it was tried; None if it is not. Raises SandboxUnavailable.

    Its `tokenizer.json` must have been checked by `check_tokenizer`.
    """
    try:
        with Sandbox(_WORKER, _LIMITS) as sandbox:
            sandbox.call({}, {TOKENIZER: small[TOKENIZER]})
    except InputFault as fault:
        reason = Reason(fault.reason) if fault.reason is not None else Reason.BAD_TOKENIZER
        return reason, fault.message if fault.reason is not None else f"{TOKENIZER}: the tokenizer {fault.message}"
    return None


class ProbeWorker:
    """Worker of the sandbox for requests whose blob is `tokenizer.json`."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return nothing for a tokenizer that may be used. Raises Refused."""
        del body
        probe(load_tokenizer(blobs[TOKENIZER]))
        return {}


def load_tokenizer(data: bytes) -> Any:
    """Return the `tokenizers.Tokenizer` of a `tokenizer.json`, without padding and truncation. Raises Refused."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # noqa: BLE001 - the library raises plain Exception for whatever it cannot read
        raise Refused(Reason.BAD_TOKENIZER, f"{TOKENIZER}: {error_line(error)}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def probe(tokenizer: Any) -> None:
    """Refuse a tokenizer whose texts are not what they should be (BadTokenizer)."""
    check_added_texts(_sought_texts(tokenizer))
    round_trip = RoundTrip(tokenizer)
    decoders = {part["type"] for part in parts_of({"decoder": state_of(tokenizer.decoder)}, "decoder")}
    for text in PROBES:
        for special in (False, True):
            ids = tokenizer.encode(text, add_special_tokens=special).ids
            difference = round_trip.difference(text, ids, special=special)
            if difference is not None:
                message = f"{TOKENIZER}: a text does not decode back to itself: {difference}"
                raise Refused(Reason.BAD_TOKENIZER, message)
        _check_decoding(tokenizer, ids, decoders)
    for ids in _sequences(tokenizer.get_vocab_size(with_added_tokens=True)):
        _check_decoding(tokenizer, ids, decoders)


def _sought_texts(tokenizer: Any) -> Iterator[str]:
    """Yield what normalized added tokens are sought as: the normalizer is applied to them as well as to texts.

    So a token without any blank in `tokenizer.json` may be found in a text of several words.
    """
    normalizer = tokenizer.normalizer
    if normalizer is None:
        return
    blanks_are_signs = BLANK in normalizer.normalize_str("a b")
    for token in tokenizer.get_added_tokens_decoder().values():
        if token.normalized:
            text = normalizer.normalize_str(token.content)
            sought = (text.replace(BLANK, " ") if blanks_are_signs else text).strip()
            if sought:
                yield sought


def _sequences(vocabulary: int) -> Iterator[list[int]]:
    """Yield sequences of token ids; the same for the same size of the vocabulary."""
    choices = random.Random(vocabulary)
    for _ in range(_SEQUENCES):
        yield [choices.randrange(vocabulary) for _ in range(_SEQUENCE_TOKENS)]


def _check_decoding(tokenizer: Any, ids: list[int], decoders: set[str]) -> None:
    """Refuse a decoder whose text is not that of the tokens one by one, blanks at the start aside."""
    tokens = [token for token in map(tokenizer.id_to_token, ids) if token is not None]
    decoded = tokenizer.decode(ids, skip_special_tokens=False)
    spelled = spell(tokens, decoders)
    if _plain(decoded) != _plain(spelled):
        message = f"{TOKENIZER}: the decoder makes {decoded[:60]!r} of tokens that spell {spelled[:60]!r}"
        raise Refused(Reason.BAD_TOKENIZER, message)


def _plain(text: str) -> str:
    return text.replace("\u2581", " ").lstrip(" ")
