"""Which changes of a file are another tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.evaluator.models.validation.tokenizer_rules.conftest import Kit

Json = dict[str, Any]
Change = Callable[["type[Kit]", Json], Json]


def llama(kit: type[Kit]) -> Json:
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
    template = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special}
    return kit.sentence_piece_bpe() | {
        "post_processor": template,
        "decoder": kit.PIECES,
        "pre_tokenizer": kit.metaspace("first", split=False),
    }


def model(content: Json, **changes: Any) -> Json:
    return content | {"model": {**content["model"], **changes}}


def reordered(kit: type[Kit], content: Json) -> Json:
    vocabulary = dict(reversed(content["model"]["vocab"].items()))
    return dict(reversed(model(content, vocab=vocabulary).items()))


SAME: dict[str, Change] = {
    "version": lambda kit, content: content | {"version": "2.0"},
    "padding and truncation": lambda kit, content: content | {"padding": {"a": 1}, "truncation": {"b": 1}},
    "order": reordered,
    "merges as text": lambda kit, content: model(content, merges=[" ".join(m) for m in content["model"]["merges"]]),
    "no type": lambda kit, content: content | {
        "model": {key: value for key, value in content["model"].items() if key != "type"}
    },
    "default of the model": lambda kit, content: content | {
        "model": {key: value for key, value in content["model"].items() if key != "ignore_merges"}
    },
    "ByteLevel after tokenization": lambda kit, content: content | {
        "post_processor": {"type": "Sequence", "processors": [kit.byte_level(), content["post_processor"]]}
    },
    "a pair": lambda kit, content: content | {"post_processor": {**content["post_processor"], "pair": []}},
    "nothing in a sequence": lambda kit, content: content | {"normalizer": kit.normal()},
    "order of added tokens": lambda kit, content: content | {"added_tokens": content["added_tokens"][::-1]},
}  # fmt: skip

OTHERS: dict[str, Change] = {
    "an added token": lambda kit, content: kit.with_added(content, "<pad>"),
    "a flag of an added token": lambda kit, content: content | {
        "added_tokens": [{**content["added_tokens"][0], "lstrip": True}, *content["added_tokens"][1:]]
    },
    "normalizer": lambda kit, content: content | {"normalizer": {"type": "NFC"}},
    "pre-tokenizer": lambda kit, content: content | {"pre_tokenizer": kit.metaspace("always", split=False)},
    "decoder": lambda kit, content: content | {"decoder": kit.PIECES_STRIPPED},
    "special token before a text": lambda kit, content: content | {"post_processor": None},
    "order of merges": lambda kit, content: model(content, merges=content["model"]["merges"][::-1]),
    "ignore_merges": lambda kit, content: model(content, ignore_merges=True),
    "two ids": lambda kit, content: model(content, vocab={
        **content["model"]["vocab"], "a": content["model"]["vocab"]["b"], "b": content["model"]["vocab"]["a"]
    }),
}  # fmt: skip


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_another_way_of_writing_is_the_same_tokenizer(kit: type[Kit], change: Change) -> None:
    assert kit.check(change(kit, llama(kit))) == kit.check(llama(kit))


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_other_ids_or_texts_are_another_tokenizer(kit: type[Kit], change: Change) -> None:
    assert kit.check(change(kit, llama(kit))) != kit.check(llama(kit))


def test_settings_of_early_versions(kit: type[Kit]) -> None:
    old = {"type": "Metaspace", "replacement": "\u2581", "str_rep": "\u2581", "add_prefix_space": True}
    digests = {
        kit.check(kit.unigram() | {"decoder": part, "pre_tokenizer": part}) for part in (old, kit.metaspace("always"))
    }
    assert len(digests) == 1


def test_scores_of_a_unigram_model_count(kit: type[Kit]) -> None:
    content = kit.unigram() | {"decoder": kit.metaspace()}
    entries = [[text, score - 1] for text, score in content["model"]["vocab"]]
    assert kit.check(content) != kit.check(content | {"model": {**content["model"], "vocab": entries}})
    assert json.dumps(content)
