from __future__ import annotations

import pytest

from bitagent_leaderboard.model.text import cell, hub_link, hub_repo, image_name, short, shown, web_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\nb", "a\\nb"),
        ("a\u202eb\u200b", "a\\u202eb\\u200b"),
        ("\x00\x1b]0;x\x07", "\\x00\\x1b]0;x\\x07"),
        ("x" * 20, "x" * 9 + "…"),
    ],
    ids=["plain", "line break", "direction", "terminal", "long"],
)
def test_shown(text: str, expected: str) -> None:
    assert shown(text, 10 if len(text) == 20 else 200) == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "|x", "%x"])
def test_cells_are_no_formulas(text: str) -> None:
    assert cell(text) == "'" + text
    assert cell(f"a{text}") == f"a{text}"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://example.org", True),
        ("https://example.org:8443/a/b/", True),
        ("http://example.org", False),
        ("javascript:alert(1)", False),
        ("https://user:pw@example.org", False),
        ("https://example.org/?q", False),
        ("https://example.org/a b", False),
        ('https://example.org/"onload=x', False),
        ("https://", False),
        ("//example.org", False),
    ],
)
def test_addresses_that_may_be_linked(text: str, good: bool) -> None:
    if good:
        assert web_address(text) == text.rstrip("/")
    else:
        with pytest.raises(ValueError, match="https"):
            web_address(text)


@pytest.mark.parametrize(
    ("repo", "good"),
    [
        ("owner/name", True),
        ("volume/claim/path", False),
        ("owner", False),
        ("../x", False),
        ("a/b\n", False),
        ("a/" + "b" * 100, False),
        ("ä/b", False),
        (None, False),
    ],
)
def test_repositories_of_a_hub(repo: str | None, good: bool) -> None:
    assert hub_repo(repo) == (repo if good else None)


def test_links_to_the_hub() -> None:
    assert hub_link("https://hub", "a/b", "c" * 40) == f"https://hub/a/b/tree/{'c' * 40}"
    assert hub_link("https://hub", "a/b", "../x") == "https://hub/a/b"
    assert hub_link("https://hub", "a/b", None) == "https://hub/a/b"


def test_short_and_image() -> None:
    assert short("5" + "x" * 40 + "yz") == "5xxxxx…xxxxyz"
    assert short("abc") == "abc"
    assert image_name("registry.internal:5000/a/evaluator:1") == "evaluator:1"
