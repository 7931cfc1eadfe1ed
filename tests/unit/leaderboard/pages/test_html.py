"""What the pages say."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.source.documents import board_of
from tests import leaderboard_objects as objects

Text = Callable[..., str]


def words(text: str) -> str:
    """The text of a page without its markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_ranking_with_intervals_and_marks(demo: Board, text_of: Text) -> None:
    page = words(text_of(demo, "rounds/demo-tools-2/index.html", has_manifests=True))
    assert "Not different from" in page
    first = demo.rounds["demo-tools-2"].ranked[0]
    score = float(first.score or 0)
    assert f"{100 * score:.1f}" in page
    assert f"{100 * (score - 0.04):.1f} to {100 * (score + 0.04):.1f}" in page
    assert "Non-Live AST Acc irrelevance simple_python" in page


def test_a_ranking_comes_before_its_digests_and_names_repositories(demo: Board, text_of: Text) -> None:
    page = words(text_of(demo, "rounds/demo-tools-2/index.html"))
    digest = demo.rounds["demo-tools-2"].ranking_digest
    assert page.index("model-1 miner-1/model") < page.index(f"Ranking {digest}")


def test_columns_without_content_are_left_out(demo: Board, text_of: Text) -> None:
    assert "Round Competition State" in words(text_of(demo, "rounds.html"))
    assert "Round State" in words(text_of(demo, "validators/demo/competitions/tools/index.html")), "all of one"
    columns = {"model-0": "Round Ended Rank Score, % 95 % interval Passed", "model-3": "Passed Note"}
    for name, head in columns.items():
        assert f"{head} demo-tools-2" in words(text_of(demo, f"models/{name}/index.html"))
    plain = board_of([objects.round_("x", [objects.scored(1, 0.5, 1)])])
    assert "Note" not in words(text_of(plain, "rounds/x/index.html"))


def test_why_a_model_has_no_rank(demo: Board, text_of: Text) -> None:
    page = words(text_of(demo, "rounds/demo-tools-2/index.html"))
    assert "CustomCode: The model needs Python code of its repository, which is never run." in page
    assert "owns their score. The other one is model-0" in page
    assert "ModelFault: The inference engine rejects" in page
    assert "Near copy of model-1" in page


def test_progress_of_a_round(demo: Board, text_of: Text) -> None:
    page = text_of(demo, "rounds/demo-tools-3/index.html")
    assert '<progress max="400" value="380"' in page
    assert "380 of 400" in words(page)
    assert "Scores are shown when the round is complete." in page
    assert "Ranking" not in words(page)


def test_a_models_history(demo: Board, text_of: Text) -> None:
    page = text_of(demo, "models/model-0/index.html", has_manifests=True)
    assert page.count("<circle") == 3
    assert "Score in demo / tools" in page
    assert f"miner-0/model/tree/{objects.commit(0)}" in page
    assert "0.40000000 by demo" in words(page)
    assert "simple_python" in page
    assert "bitagent-eval plan --from-round" in page


def test_a_model_with_one_round_has_no_plot(text_of: Text) -> None:
    board = board_of([objects.round_("x", [objects.scored(1, 0.5, 1)])])
    page = text_of(board, "models/model-1/index.html")
    assert "<circle" not in page
    assert "The MinerModel was deleted" in page


def test_losses(text_of: Text) -> None:
    results = [objects.scored(1, 0.5, 1, loss="0.693147"), objects.scored(2, 0.4, 2, loss="inf")]
    board = board_of([objects.round_(name, results, scorer="Loss", end=end) for name, end in (("x", 5), ("y", 9))])
    assert "0.693147" in text_of(board, "rounds/x/index.html")
    page = text_of(board, "models/model-1/index.html")
    assert page.count("<circle") == 2
    assert "Loss in" in page
    assert "<circle" not in text_of(board, "models/model-2/index.html"), "infinite ones cannot be drawn"


def test_weights_beside_their_scores(demo: Board, text_of: Text) -> None:
    page = words(text_of(demo, "validators/demo/index.html"))
    assert "0.40000000" in page
    assert re.search(r"model-0 rank \d+, [\d.]+ % in demo-tools-2", page)
    assert "NearCopy: Its model is a near copy" in page
    assert "The chain holds the current weights." in page


def test_rows_on_several_pages(text_of: Text) -> None:
    results = [objects.scored(number, 1 - number / 1000, number + 1) for number in range(250)]
    board = board_of([objects.round_("x", results), *(objects.model(number) for number in range(101))])
    assert "model-99<" in text_of(board, "rounds/x/index.html")
    assert "model-100<" not in text_of(board, "rounds/x/index.html")
    last = text_of(board, "rounds/x/3.html")
    assert "model-249<" in last
    assert 'href="../../rounds/x/2.html"' in last
    assert "model-99<" in text_of(board, "models.html")
    assert "model-100<" in text_of(board, "models-2.html"), "by name, numbers as numbers"


@pytest.mark.parametrize("path", ["index.html", "rounds.html", "models.html", "about.html", "feed.atom"])
def test_an_empty_namespace(path: str, text_of: Text) -> None:
    assert text_of(board_of([]), path)


def test_the_page_forbids_all_that_is_not_its_own(demo: Board, text_of: Text) -> None:
    page = text_of(demo, "index.html")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|<script>| on[a-z]+=", page)


def test_answers_beside_the_scores_of_models(demo: Board, text_of: Text) -> None:
    page = text_of(demo, "validators/demo/index.html")
    rows = page[page.index("Answers of miners in tools") : page.index("Hotkeys that earn nothing")].split("<tr>")[2:]
    assert [objects.hotkey(number) in row for number, row in zip((1, 0, 2, 30), rows, strict=True)] == [True] * 4
    assert [mark in row for mark, row in zip(("91.3", "71.2", "Timeout:", "NotServing:"), rows, strict=True)] == [
        True
    ] * 4
    assert "models/model-1/" in rows[0]
    assert "rounds/demo-tools-2/" in rows[0]
    assert "average 71.2 %" in text_of(demo, "models/model-0/index.html")
    assert "Asked online" not in text_of(demo, "models/model-4/index.html")


def test_intervals_without_manifests(text_of: Text) -> None:
    results = [objects.scored(1, 0.8, 1, interval=["0.750000", "0.850000"]), objects.scored(2, 0.79, 2)]
    page = text_of(board_of([objects.round_("r", results)]), "rounds/r/index.html")
    assert "75.0 to 85.0" in page
    assert "which this page has no access to" in page
