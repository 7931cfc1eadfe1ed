from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.source.documents import board_of
from tests import leaderboard_objects as objects

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.mark.parametrize(
    ("site", "link"),
    [(None, "rounds/demo-tools-2/index.html"), ("https://b.org", "https://b.org/rounds/demo-tools-2/index.html")],
)
def test_entries(demo: Board, text_of: Callable[..., str], site: str | None, link: str) -> None:
    feed = ElementTree.fromstring(text_of(demo, "feed.atom", site=site))
    entries = {entry.findtext(f"{ATOM}id"): entry for entry in feed.iter(f"{ATOM}entry")}
    assert len(entries) == 5
    entry = entries[f"urn:uuid:{objects.uid('EvalRound', 'demo-tools-2')}"]
    found = entry.find(f"{ATOM}link")
    assert found is not None
    assert found.get("href") == link
    assert entry.findtext(f"{ATOM}updated") == objects.at(180)
    assert "Best: model-" in (entry.findtext(f"{ATOM}summary") or "")


def test_titles_are_text(text_of: Callable[..., str]) -> None:
    feed = ElementTree.fromstring(text_of(board_of([]), "feed.atom", title="<b>&"))
    assert feed.findtext(f"{ATOM}title") == "<b>&: rounds"
