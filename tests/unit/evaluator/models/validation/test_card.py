"""Licence and hotkey of the model card."""

from __future__ import annotations

import pytest

from bitagent_evaluator.models.validation.card import parse_card_hotkey, parse_card_license


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


def test_a_card_is_read_by_the_reader_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(_self: object) -> None:
        pytest.fail("a long card takes seconds in plain Python")

    monkeypatch.setattr("yaml.scanner.Scanner.fetch_more_tokens", scan)
    assert parse_card_license(b"---\nlicense: mit\na: [1, 2, 3]\n---\n") == "mit"
