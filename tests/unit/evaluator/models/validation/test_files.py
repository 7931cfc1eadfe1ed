"""Files that are fetched, and the licence of the model card."""

from __future__ import annotations

import time

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import (
    MAX_SHARDS,
    REQUIRED,
    check_file_list,
    fetched_files,
    parse_card_hotkey,
    parse_card_license,
)
from bitagent_evaluator.sandbox.protocol import Refused

SIZES = {"model.safetensors": 1000, **dict.fromkeys(REQUIRED, 10)}


REFUSED: dict[str, tuple[dict[str, int], Reason]] = {
    "no weights": ({"model.safetensors": -1}, Reason.NO_SAFETENSORS),
    "a pickle": ({"model.safetensors": -1, "pytorch_model.bin": 10}, Reason.NO_SAFETENSORS),
    "too many shards": ({f"model-{i:05}-of-00099.safetensors": 1 for i in range(MAX_SHARDS + 1)}, Reason.TOO_LARGE),
    "too large": ({"model.safetensors": 1 << 40}, Reason.TOO_LARGE),
    "no config": ({"config.json": -1}, Reason.BAD_CONFIG),
    "long config": ({"config.json": 1 << 20}, Reason.BAD_CONFIG),
    "no tokenizer": ({"tokenizer.json": -1}, Reason.BAD_TOKENIZER),
    "no tokenizer config": ({"tokenizer_config.json": -1}, Reason.BAD_TOKENIZER),
    "long tokenizer": ({"tokenizer.json": 37 << 20}, Reason.BAD_TOKENIZER),
    "long tokens map": ({"special_tokens_map.json": 1 << 20}, Reason.BAD_TOKENIZER),
    "long template": ({"chat_template.jinja": 1 << 20}, Reason.BAD_CONFIG),
}
"""Changes of the sizes; -1 for a file that is missing."""


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_file_lists_that_are_refused(changes: dict[str, int], reason: Reason) -> None:
    sizes = {name: size for name, size in {**SIZES, **changes}.items() if size >= 0}
    with pytest.raises(Refused) as refused:
        check_file_list(sizes, 1 << 30)
    assert refused.value.reason == reason


def test_too_large_names_the_limit() -> None:
    with pytest.raises(Refused, match="1000000") as refused:
        check_file_list({**SIZES, "model.safetensors": 1_000_001}, 1_000_000)
    assert refused.value.reason == Reason.TOO_LARGE


def test_other_files_are_ignored() -> None:
    others = {"pytorch_model.bin": 1 << 40, "modeling.py": 10, "other.safetensors": 1 << 40, "README.md": 1 << 30}
    check_file_list({**SIZES, **others}, 1 << 20)
    assert fetched_files({**SIZES, **others}) == sorted(SIZES)


@pytest.mark.parametrize(
    ("card", "license_name"),
    [
        (b"---\nlicense: Apache-2.0\n---\n# Model", "apache-2.0"),
        (b"---\r\nlicense: mit\r\n---\r\n", "mit"),
        (b"---\nlicense: other\nlicense_name: llama3\n---\n", "llama3"),
        (b"---\nlicense: [mit]\n---\n", "mit"),
        (b"---\nlicense: [mit, gpl-3.0]\n---\n", ""),
        (b"---\nlicense: mit\n'license': gpl-3.0\n---\n", ""),
        (b"---\n{license: mit, license: gpl-3.0}\n---\n", ""),
        (b'---\nlicense: mit\n"licens\\u0065": gpl-3.0\n---\n', ""),
        (b"---\nlicense: mit\n? license\n: gpl-3.0\n---\n", ""),
        (b"\xef\xbb\xbf---\nlicense: mit\n---\n", "mit"),
        (b"\n---\rlicense: mit\r---\r", "mit"),
        (b"---\nlicense: mit\ndata:\n  license: gpl-3.0\n---\n", "mit"),
        (b"# no front matter\nlicense: mit", ""),
        (b"---\nlicense: {a: b}\n---\n", ""),
        (b"---\n&a [*a, *b]\n---\n", ""),
        (b"---\nlicense: !!python/object/apply:os.system [id]\n---\n", ""),
        (b"---\nlicense: mit\nx: !!int ''\n---\n", ""),
    ],
    ids=[
        *("plain", "crlf", "other", "list", "list of two", "given twice", "twice in one line"),
        *("twice, once escaped", "twice, once as a long key", "byte-order mark", "cr", "of something else"),
        *("no front matter", "object", "broken yaml", "code", "tag"),
    ],
)
def test_license_of_the_card(card: bytes, license_name: str) -> None:
    assert parse_card_license(card) == license_name


HOTKEY = "5" + "F" * 47


@pytest.mark.parametrize(
    ("card", "hotkey"),
    [
        pytest.param(f"---\nbitagent_hotkey: {HOTKEY}\n---\n# Model", HOTKEY, id="named"),
        pytest.param(f"---\nbitagent_hotkey: '{HOTKEY}'\n---\n", HOTKEY, id="quoted"),
        pytest.param(f"---\nbitagent_hotkey: {HOTKEY}\nbitagent_hotkey: {HOTKEY}\n---\n", None, id="twice"),
        pytest.param(
            f'---\nbitagent_hotkey: {HOTKEY}\n"bitagent_hotke\\x79": {HOTKEY}\n---\n', None, id="twice, once escaped"
        ),
        pytest.param(f"\ufeff---\nbitagent_hotkey: {HOTKEY}\n---\n", HOTKEY, id="byte-order mark"),
        pytest.param(f"---\nx: {{bitagent_hotkey: {HOTKEY}}}\n---\n", None, id="in a member"),
        pytest.param(f"bitagent_hotkey: {HOTKEY}\n", None, id="not in the front matter"),
        pytest.param(f"---\nbitagent_hotkey: [{HOTKEY}]\n---\n", None, id="a list"),
        pytest.param(f"---\nbitagent_hotkey: {HOTKEY}0\n---\n", None, id="not an address"),
        pytest.param("---\nlicense: mit\n---\n", None, id="none"),
    ],
)
def test_hotkey_of_the_card(card: str, hotkey: str | None) -> None:
    assert parse_card_hotkey(card.encode()) == hotkey


def test_long_card_is_read_at_once() -> None:
    card = b"---\nlicense: mit\n" + b"a: [1, 2, 3]\n" * 19_000 + b"---\n"
    started = time.thread_time()
    assert parse_card_license(card) == "mit"
    assert time.thread_time() - started < 2  # a reader in plain Python takes four on a fast machine
