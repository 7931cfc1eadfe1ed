"""All documents of a board: links lead somewhere, nothing leaks, nothing of a miner is markup."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.commands import Archives
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.site.documents import Site, StandingsCache
from bitagent_leaderboard.source.documents import board_of, with_manifests
from tests import leaderboard_objects as objects

ARCHIVES = Archives.parse("s3://bucket/x=https://files.example.org/x")


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def documents(board: Board, settings: Settings) -> dict[str, str]:
    site = Site(board, settings)
    found = {}
    for path in site.paths():
        source = site.find(path)
        assert source is not None, path
        content = source.render()
        found[path] = content if isinstance(content, str) else content.decode()
    return found


@pytest.mark.parametrize("exported", [None, "2026-12-01"], ids=["served", "files"])
def test_links_lead_to_documents_wherever_the_page_lies(demo: Board, exported: str | None) -> None:
    found = documents(demo, Settings(exported=exported, has_manifests=True, archives=ARCHIVES))
    paths = set(found)
    for path, text in found.items():
        if not path.endswith(".html"):
            continue
        for link in Links(text).found:
            if link.startswith("https://huggingface.co/"):
                continue
            assert not re.match(r"[a-z]+:|/", link), f"{path}: {link}"
            way = link.partition("#")[0].partition("?")[0]
            if not way:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), way))
            if exported is None and way.endswith("/"):
                target = posixpath.normpath(posixpath.join(target, "index.html"))
            assert target in paths, f"{path}: {link}"


def test_nothing_of_a_round_that_is_not_complete_is_in_any_document(demo: Board) -> None:
    site = Settings(has_manifests=True)
    before = documents(demo, site)
    text = "\n".join(before.values())
    for word in (f"{objects.SEED}-demo-tools-3", f"{objects.SEED}-by-hand", objects.digest("tasks", "demo-tools-3")):
        assert word not in text
    for word in (
        "node-secret",
        "secret-claim",
        "internal",
        "own words",
        "SKETCH",
        "0.987654",
        "0.912345",
        "secret-wallet",
    ):
        assert word not in text
    assert f"{objects.SEED}-demo-tools-2" in text, "what is complete can be asked again"


def test_tasks_that_another_round_asks_are_in_no_document() -> None:
    same = {"tasks": {"seed": "ONE-SEED"}}
    done = objects.round_("x", [objects.scored(1, 0.5, 1)], **same)
    done["status"]["archive"] = {"uri": "s3://bucket/x/a", "digest": objects.digest(1), "at": objects.at(70)}
    running = objects.round_("y", [], phase="Running", **same)
    hidden = documents(board_of([done, running]), Settings(archives=ARCHIVES))
    assert not [path for path, text in hidden.items() if "ONE-SEED" in text or "files.example.org" in text]
    assert objects.digest("tasks", "x") not in "".join(hidden.values())
    shown = documents(board_of([done]), Settings(archives=ARCHIVES))
    assert "ONE-SEED" in shown["rounds/x/round.json"]
    assert "https://files.example.org/x/a/leaderboard.json" in shown["rounds/x/index.html"]


def test_sources_and_seeds_can_be_kept_back(demo: Board) -> None:
    found = documents(demo, Settings(with_tasks=False))
    assert not [path for path in found if path.endswith("round.json")]
    text = "".join(found.values())
    assert objects.SEED not in text
    assert objects.digest("tasks", "demo-tools-2") not in text


HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b"


def test_what_a_miner_wrote_is_text_everywhere(artifacts: Path) -> None:
    made = objects.round_("x", [objects.scored(1, 0.5, 1), objects.scored(2, 0.4, 2)])
    objects.put_manifest(artifacts, made, 1, objects.manifest(1, 0.5, categories={HOSTILE: 0.5}))
    model = objects.model(1)
    model["status"]["resolved"] |= {"license": HOSTILE, "architecture": HOSTILE}
    made["status"]["results"][1] |= {"repo": HOSTILE}
    board = with_manifests(board_of([model, made]), artifacts)
    found = documents(board, Settings(has_manifests=True, title='<b>&"'))
    for path, text in found.items():
        if path.startswith("static/"):
            continue
        assert "<script>alert" not in text or path.endswith((".json", ".csv")), path
        assert "\u202e" not in text or (path.endswith(".json") is False and "Settings" in path), path
        if path.endswith(".html"):
            parsed = Links(text)
            assert parsed.tags.count("script") == 1, path
            assert not [each for each in parsed.attributes if each.startswith("on")], path
            assert "style" not in parsed.attributes, path
        elif path.endswith((".svg", ".atom")):
            ElementTree.fromstring(text)
        elif path.endswith(".json"):
            json.loads(text)


@pytest.mark.parametrize(
    "path",
    [
        *("rounds/none/index.html", "models/none/index.html", "validators/none/index.html", "badges/none.svg"),
        *(
            "rounds/demo-tools-2/1.html",
            "rounds/demo-tools-2/2.html",
            "models-2.html",
            "models-1.html",
            "models-0.html",
        ),
        *("rounds/../index.html", "static/../main.py", "static/board.map", "api/v1/models/model-0.csv", ""),
        *("rounds/demo-tools-3/round.json", "rounds/by-hand/round.json", "api/v1/rounds/none.json", "validators/demo"),
    ],
)
def test_no_document(demo: Board, path: str) -> None:
    assert Site(demo, Settings()).find(path) is None


def test_a_model_with_the_name_of_a_list(text_of: Callable[..., str]) -> None:
    board = board_of([objects.model(1, "index.html"), objects.model(2, "model-3.json")])
    paths = list(Site(board, Settings()).paths())
    assert len(paths) == len(set(paths))
    assert "<h1>index.html</h1>" in text_of(board, "models/index.html/index.html")
    assert "<h1>Models</h1>" in text_of(board, "models.html")


class TestDependencies:
    """A document is rendered again if what it shows has changed, and only then."""

    PATHS = (
        *("index.html", "rounds/a/index.html", "rounds/b/index.html", "models/model-1/index.html"),
        *("models/model-2/index.html", "api/v1/rounds/a.json", "validators/demo/index.html", "about.html"),
    )

    def states(self, *given: objects.Obj) -> dict[str, object]:
        site = Site(board_of(given), Settings(), StandingsCache())
        found = {}
        for path in self.PATHS:
            source = site.find(path)
            assert source is not None, path
            found[path] = source.depends
        return found

    def board(self, **changed: objects.Obj) -> list[objects.Obj]:
        plain = {
            "model-1": objects.model(1),
            "model-2": objects.model(2),
            "a": objects.round_("a", [objects.scored(1, 0.5, 1)]),
            "b": objects.round_("b", [objects.pending(2)], phase="Running"),
            "demo": objects.validator(weights={1: "1.00000000"}, rounds=["a"]),
        }
        return list((plain | changed).values())

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({}, set()),
            (
                {"b": objects.round_("b", [objects.pending(2, 5, 9)], phase="Running", version=2)},
                {"rounds/b/index.html", "models/model-2/index.html"},
            ),
            (
                {"a": objects.round_("a", [objects.scored(1, 0.5, 1)], version=2)},
                {
                    "rounds/a/index.html",
                    "models/model-1/index.html",
                    "api/v1/rounds/a.json",
                    "validators/demo/index.html",
                },
            ),
            (
                {"demo": objects.validator(version=2)},
                {"models/model-1/index.html", "models/model-2/index.html", "validators/demo/index.html"},
            ),
            (
                # The seed of a running round becomes that of a complete one.
                {"b": objects.round_("b", [], phase="Running", tasks={"seed": f"{objects.SEED}-a"}, version=2)},
                {
                    *("rounds/a/index.html", "rounds/b/index.html", "models/model-1/index.html"),
                    *("models/model-2/index.html", "api/v1/rounds/a.json"),
                },
            ),
        ],
        ids=["nothing", "progress", "a complete round", "weights", "one seed"],
    )
    def test_what_changes(self, change: dict[str, objects.Obj], expected: set[str]) -> None:
        before, after = self.states(*self.board()), self.states(*self.board(**change))
        assert {path for path in self.PATHS if before[path] != after[path]} == expected
