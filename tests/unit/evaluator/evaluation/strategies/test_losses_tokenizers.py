"""A loss per byte does not depend on how a tokenizer spells a text, and no spelling makes it lower than it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, LossNormalization, LossParameters
from bitagent_crds.results import Response
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.losses import MeasuredText, PassageLoss
from bitagent_evaluator.evaluation.strategies import PromptEncoder, ScoringOptions
from bitagent_evaluator.evaluation.strategies.losses import FOLDED_BYTE_NATS, LossStrategy
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt, prompt_format
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer
from bitagent_evaluator.support.faults import ModelFault

PER_BYTE = LossParameters()
PER_TOKEN = LossParameters(normalization=LossNormalization.TOKEN)
LogProbability = Callable[[Sequence[int], int], float]
"""Logarithm of the probability of a token after others."""


class Spelling:
    """A tokenizer in this process: texts to token ids and back, with none of the checks of the sandboxed one."""

    def __init__(self, encode: Callable[[str], list[int]], decode: Callable[[list[int]], str]) -> None:
        self._encode, self._decode = encode, decode

    def encode_prompts(self, prompts: Sequence[ChatPrompt | RawPrompt]) -> list[list[int]]:
        return [[0] for _ in prompts]

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encode(text) for text in texts]

    def decode(self, sequences: Sequence[Sequence[int]], *, special_tokens: bool = False) -> list[str]:
        assert special_tokens, "nothing may be left out of the text"
        return [self._decode(list(ids)) for ids in sequences]


@dataclass
class Chain:
    """An engine whose tokens have given probabilities."""

    log_probability: LogProbability
    device: str = "none"

    def generate(self, requests: Sequence[Any], stop_ids: Sequence[int]) -> Iterator[list[Any]]:
        raise AssertionError("nothing is generated")

    def losses(self, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
        for passage in passages:
            ids = passage.token_ids
            nats = -math.fsum(self.log_probability(ids[:at], ids[at]) for at in range(passage.start, len(ids)))
            yield [PassageLoss(passage.key, nats)]


def task(index: int, reference: str) -> Task:
    return Task(
        id=f"t{index}",
        source="stream",
        category="c",
        messages=[{"role": "user", "content": "?"}],
        functions=[],
        expects=Expects.TEXT,
        reference=reference,
    )


def measure(
    spelling: Spelling, texts: Sequence[str], log_probability: LogProbability, loss: LossParameters = PER_BYTE
) -> list[Response]:
    """Return the responses of a model with this tokenizer and these probabilities, in the order of the texts."""
    encoder = PromptEncoder(
        tokenizer=cast(SandboxedTokenizer, spelling),
        format_name=BuiltinPromptFormat.ALPACA,
        format=prompt_format(BuiltinPromptFormat.ALPACA),
        stop_ids=(),
        max_tokens=8,
        token_limit=10**6,
        vocab_size=10**6,
    )
    tasks = [task(index, text) for index, text in enumerate(texts)]
    prepared = LossStrategy(tasks, encoder, ScoringOptions(BuiltinScorer.LOSS, loss))
    found: list[Response] = []
    prepared.run(cast(Any, Chain(log_probability)), frozenset(), found.extend)
    return found


def losses(*arguments: Any, **more: Any) -> list[float]:
    return [cast(float, response.loss) for response in measure(*arguments, **more)]


def by_pieces(pieces: Sequence[str], split: Callable[[str, Sequence[str]], list[str]]) -> Spelling:
    """Return the spelling by a vocabulary; token 0 is the prompt."""
    number = {piece: index for index, piece in enumerate(pieces, 1)}
    return Spelling(
        lambda text: [number[piece] for piece in split(text, pieces)],
        lambda ids: "".join(pieces[index - 1] for index in ids),
    )


def longest_first(text: str, pieces: Sequence[str]) -> list[str]:
    found = []
    while text:
        piece = max((piece for piece in pieces if text.startswith(piece)), key=len)
        found.append(piece)
        text = text[len(piece) :]
    return found


def last_first(text: str, pieces: Sequence[str]) -> list[str]:
    """Another spelling by the same vocabulary: longest pieces from the end."""
    found = []
    while text:
        piece = max((piece for piece in pieces if text.endswith(piece)), key=len)
        found.insert(0, piece)
        text = text[: -len(piece)]
    return found


ALPHABET = "ab "
LENGTH = 4
TEXTS = ["".join(letters) for letters in itertools.product(ALPHABET, repeat=LENGTH)]
PIECES = ["".join(letters) for size in (2, 3) for letters in itertools.product(ALPHABET, repeat=size)]


@given(
    extra=st.lists(st.sampled_from(PIECES), unique=True, max_size=8),
    split=st.sampled_from([longest_first, last_first]),
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.1, 3.0, 300.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_lower_loss_for_one_text_is_a_higher_one_for_others(
    extra: list[str], split: Any, seed: int, spread: float
) -> None:
    """Probabilities exp(-nats) of all texts of a length add up to at most 1, by any vocabulary and any model."""
    pieces = [*ALPHABET, *extra]

    def log_probability(before: Sequence[int], token: int) -> float:
        logits = [
            spread * math.sin(seed % 997 + 31 * before[-1] + 7 * len(before) + 3 * each)
            for each in range(len(pieces) + 1)
        ]
        top = max(logits)
        return logits[token] - top - math.log(math.fsum(math.exp(each - top) for each in logits))

    found = losses(by_pieces(pieces, split), TEXTS, log_probability)
    assert math.fsum(math.exp(-loss * LENGTH) for loss in found) <= 1 + 1e-9


def of_bytes(before: str, letter: str) -> float:
    """Logarithm of the probability of a letter after the last one."""
    weights = {each: 1 + (3 * ord(each) + 5 * ord(before[-1:] or "x")) % 7 for each in ALPHABET}
    return math.log(weights[letter] / sum(weights.values()))


@given(text=st.text(ALPHABET, min_size=6, max_size=60).filter(lambda text: len(text) % 6 == 0))
@settings(max_examples=60, deadline=None)
def test_one_distribution_over_bytes_has_one_loss(text: str) -> None:
    """Tokens of one, two and three bytes whose probabilities are those of their bytes."""
    found = []
    for size in (1, 2, 3):
        pieces = ["".join(letters) for letters in itertools.product(ALPHABET, repeat=size)]

        def log_probability(before: Sequence[int], token: int, pieces: list[str] = pieces) -> float:
            seen = "".join(pieces[index - 1] for index in before if index)
            return math.fsum(
                of_bytes(seen + pieces[token - 1][:at], letter) for at, letter in enumerate(pieces[token - 1])
            )

        found += losses(by_pieces(pieces, longest_first), [text], log_probability)
    assert found[1:] == pytest.approx([found[0]] * 2)


def uniform(size: int) -> LogProbability:
    return lambda before, token: -math.log(size)


FILLER = "\ue000"


def filled() -> Spelling:
    """A token that stands for nothing between all characters, as a normalizer and a decoder can have it."""
    return Spelling(
        lambda text: [number for letter in text for number in (ord(letter), 1)],
        lambda ids: "".join(chr(number) for number in ids if number != 1),
    )


def test_fillers_lower_a_loss_per_token_and_raise_one_per_byte() -> None:
    plain = Spelling(lambda text: [ord(letter) for letter in text], lambda ids: "".join(map(chr, ids)))
    text, half = "knows nothing", math.log(0.5)

    def with_filler(before: Sequence[int], token: int) -> float:
        return half if token == 1 else half - math.log(256)

    (alone,) = losses(plain, [text], uniform(256))
    assert alone == pytest.approx(math.log(256))
    (per_byte,), (per_token,) = (losses(filled(), [text], with_filler, loss) for loss in (PER_BYTE, PER_TOKEN))
    assert per_token < alone < per_byte


@pytest.mark.parametrize(
    ("spelling", "texts"),
    [
        pytest.param(
            Spelling(lambda text: [1] * len(text), lambda ids: " " * len(ids)), ["some text"], id="one token for all"
        ),
        pytest.param(
            Spelling(lambda text: [1] * 40 + [*text.encode()], lambda ids: bytes(ids).decode().replace("\x01", " ")),
            ["some text"],
            id="blanks before the text",
        ),
        pytest.param(
            Spelling(lambda text: [*text.replace("e", "").encode()], lambda ids: bytes(ids).decode()),
            ["some text"],
            id="a letter vanishes",
        ),
        pytest.param(
            Spelling(lambda text: [*text.lower().encode()], lambda ids: bytes(ids).decode()), ["Text"], id="lower case"
        ),
        pytest.param(
            Spelling(lambda text: [*" ".join(text.split()).encode()], lambda ids: bytes(ids).decode()),
            ["two  blanks"],
            id="white space",
        ),
        pytest.param(
            Spelling(
                lambda text: [7] * (3 * ("first text", "second text", "third text").index(text) + 20),
                lambda ids: ("first text", "second text", "third text")[max(0, len(ids) - 20) // 3],
            ),
            ["first text", "second text", "third text"],
            id="a text by the number of tokens",
        ),
    ],
)
def test_what_does_not_decode_to_the_text_is_the_tokenizers_fault(spelling: Spelling, texts: list[str]) -> None:
    with pytest.raises(ModelFault) as fault:
        measure(spelling, texts, uniform(2))
    assert fault.value.reason is Reason.BAD_TOKENIZER


def of_library(**parts: Any) -> Spelling:
    """A tokenizer of single bytes of the library, with other parts."""
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(False, use_regex=False), decoders.ByteLevel()
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return Spelling(
        lambda text: cast(list[int], tokenizer.encode(text, add_special_tokens=False).ids),
        lambda ids: cast(str, tokenizer.decode(ids, skip_special_tokens=False)),
    )


def test_padding_that_pushes_the_reference_out_earns_nothing() -> None:
    """W5: blanks before each text, and everything between two marks removed, so that prompts fill the sequence."""
    steps = [pre_tokenizers.Split("x", "removed"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    padded = of_library(normalizer=normalizers.Prepend(" " * 60), pre_tokenizer=pre_tokenizers.Sequence(steps))
    with pytest.raises(ModelFault):
        measure(padded, ["a reference"], uniform(2))


def byte_fallback() -> Spelling:
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"a": 256, "\u2581": 257}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return Spelling(
        lambda text: cast(list[int], tokenizer.encode(text, add_special_tokens=False).ids),
        lambda ids: cast(str, tokenizer.decode(ids, skip_special_tokens=False)),
    )


HONEST = {
    "bytes": of_library(),
    "NFC": of_library(normalizer=normalizers.NFC()),
    "NFD": of_library(normalizer=normalizers.NFD()),
    "byte fallback": byte_fallback(),
}


@pytest.mark.parametrize("spelling", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize(
    "text",
    [
        "two  blanks",
        " one before",
        "   ",
        "\n\t",
        "e\u0301 decomposed",
        "日本語 🙂",
        "\ufb01 ligature",
        "\ufffd already",
    ],
)
def test_honest_spellings_are_measured_whole(spelling: Spelling, text: str) -> None:
    (response,) = measure(spelling, [text], uniform(256))
    assert response.loss_bytes == len(text.replace("e\u0301", "\u00e9").encode())
    assert response.loss == pytest.approx(math.log(256) * (response.loss_tokens or 0) / response.loss_bytes)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        pytest.param("plain text", 0, id="nothing to fold"),
        pytest.param("\ufb01ne", 3, id="a ligature"),
        pytest.param("\uff21\uff22", 6, id="full width"),
    ],
)
def test_characters_that_are_folded_cost_as_if_nothing_were_known_of_them(text: str, folded: int) -> None:
    (response,) = measure(of_library(normalizer=normalizers.NFKC()), [text], lambda before, token: 0.0)
    assert response.loss == pytest.approx(folded * FOLDED_BYTE_NATS / len(text.encode()))


@pytest.mark.parametrize(
    ("scheme", "text", "lost"),
    [
        pytest.param("first", "text", 0, id="a blank that the decoder takes away again"),
        pytest.param("first", " text", 1, id="one that was there already"),
        pytest.param("first", "  text", 1, id="one of two"),
        pytest.param("prefix", "text", 1, id="a blank that stays"),
        pytest.param("prefix", " text", 0, id="none is added to one that is there"),
    ],
)
def test_a_blank_before_the_text_that_is_not_told_from_none_costs_a_byte(scheme: str, text: str, lost: int) -> None:
    """Converted SentencePiece models and byte-level ones with a prefix space, both honest."""
    if scheme == "prefix":
        spelling = of_library(pre_tokenizer=pre_tokenizers.ByteLevel(True, use_regex=False))
    else:
        metaspace = {"replacement": "\u2581", "prepend_scheme": "first", "split": False}
        tokenizer = Tokenizer(models.BPE({letter: at for at, letter in enumerate("\u2581etx")}, []))
        tokenizer.pre_tokenizer, tokenizer.decoder = (
            pre_tokenizers.Metaspace(**metaspace),
            decoders.Metaspace(**metaspace),
        )
        spelling = Spelling(
            lambda text: cast(list[int], tokenizer.encode(text).ids),
            lambda ids: cast(str, tokenizer.decode(ids, skip_special_tokens=False)),
        )
    (response,) = measure(spelling, [text], lambda before, token: 0.0)
    assert response.loss == pytest.approx(lost * FOLDED_BYTE_NATS / len(text))


def test_prompt_tokens_are_not_measured_and_no_end_is_added() -> None:
    (response,) = measure(of_library(), ["four"], lambda before, token: -1.0)
    assert (response.loss, response.loss_bytes, response.loss_tokens, response.prompt_tokens) == (1.0, 4, 4, 1)
