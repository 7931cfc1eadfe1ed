"""The documents of several namespaces."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

import pytest

from bitagent_leaderboard.export import export
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.site.documents import Site
from bitagent_leaderboard.site.several import Documents, Sites, documents_of
from bitagent_leaderboard.source.documents import board_of
from tests import leaderboard_objects as objects


def text(site: Documents, path: str) -> str:
    source = site.find(path)
    assert source is not None, path
    content = source.render()
    return content if isinstance(content, str) else content.decode()


@pytest.fixture
def other() -> Board:
    """A round with the name and the tasks of one of the demo's."""
    return board_of([objects.round_("demo-tools-2", [objects.pending(77, 1, 2)], phase="Running")])


def test_one_namespace_has_neither_folder_nor_list(demo: Board) -> None:
    site = documents_of({"a": demo}, Settings())
    assert list(site.paths()) == list(Site(demo, Settings()).paths())


@pytest.mark.parametrize("exported", [None, "2026-12-01"], ids=["served", "files"])
def test_links_lead_to_documents(demo: Board, other: Board, exported: str | None) -> None:
    site = documents_of({"a": demo, "b": other}, Settings(exported=exported))
    paths = set(site.paths())
    for path in (each for each in paths if each.endswith(".html")):
        for way in re.findall(r'(?:href|src)="([^"#?]+)', text(site, path)):
            if way.startswith("https://huggingface.co/"):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), way))
            if exported is None and way.endswith("/"):
                target = posixpath.normpath(posixpath.join(target, "index.html"))
            assert target in paths, f"{path}: {way}"


def test_each_namespace_leads_back_to_the_list(demo: Board) -> None:
    several, one = documents_of({"a": demo, "b": Board()}, Settings()), documents_of({"a": demo}, Settings())
    assert 'href="../../">Namespaces<' in text(several, "namespaces/a/index.html")
    assert 'href="../../../../">Namespaces<' in text(several, "namespaces/a/rounds/demo-tools-2/index.html")
    assert ">Namespaces<" not in text(one, "index.html")


def test_objects_of_one_name_are_apart(demo: Board, other: Board) -> None:
    site = documents_of({"a": demo, "b": other}, Settings())
    assert "model-77" in text(site, "namespaces/b/rounds/demo-tools-2/index.html")
    assert "model-77" not in text(site, "namespaces/a/rounds/demo-tools-2/index.html")
    assert site.find("rounds/demo-tools-2/index.html") is None


def test_tasks_of_a_round_that_runs_elsewhere_are_not_public(demo: Board, other: Board) -> None:
    """Validators of one subnet ask the same tasks, and may end at different times."""
    path = "namespaces/a/api/v1/rounds/demo-tools-2.json"
    calm = documents_of({"a": demo, "b": Board()}, Settings())
    assert json.loads(text(calm, path))["seed"] is not None
    assert calm.find("namespaces/a/rounds/demo-tools-2/round.json") is not None
    site = documents_of({"a": demo, "b": other}, Settings())
    assert json.loads(text(site, path))["seed"] is None
    assert site.find("namespaces/a/rounds/demo-tools-2/round.json") is None


def test_tasks_are_not_public_before_all_namespaces_were_read(demo: Board) -> None:
    """A round that asks the same may run in the one that was not."""
    path = "namespaces/a/api/v1/rounds/demo-tools-2.json"
    site = documents_of({"a": demo, "late": None}, Settings())
    assert json.loads(text(site, path))["seed"] is None
    assert site.find("namespaces/a/rounds/demo-tools-2/round.json") is None


def test_the_list_says_what_happens(demo: Board) -> None:
    site = documents_of({"a": demo, "empty": Board(), "late": None}, Settings(title="Board"))
    page = text(site, "index.html")
    assert 'href="namespaces/a/"' in page
    assert "demo-tools-3" in page, "the round that runs"
    assert 'href="namespaces/late/"' not in page
    assert page.count("was not read yet") == 1
    listed = json.loads(text(site, "api/v1/namespaces.json"))["namespaces"]
    assert [(each["name"], each["read"], each["folder"]) for each in listed] == [
        ("a", True, "namespaces/a/"),
        ("empty", True, "namespaces/empty/"),
        ("late", False, "namespaces/late/"),
    ]
    assert listed[0]["rounds"] == len(demo.rounds)


def test_the_list_changes_with_any_namespace(demo: Board) -> None:
    before, after = (documents_of({"a": Board(), "b": each}, Settings()) for each in (None, demo))
    for path in ("index.html", "api/v1/namespaces.json"):
        one, two = before.find(path), after.find(path)
        assert one is not None
        assert two is not None
        assert one.depends != two.depends


def test_addresses_name_the_namespace(demo: Board) -> None:
    site = documents_of({"a": demo, "b": Board()}, Settings(site="https://board.example.org/x", title="Board"))
    assert "https://board.example.org/x/namespaces/a/rounds/demo-tools-2/" in text(site, "namespaces/a/feed.atom")
    assert json.loads(text(site, "namespaces/a/api/v1/board.json"))["title"] == "Board: a"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        pytest.param(Settings(), [False, False], id="of none"),
        pytest.param(Settings(has_manifests=True), [True, True], id="of all"),
        pytest.param(Settings(with_manifests=frozenset({"b"})), [False, True], id="of one"),
    ],
)
def test_manifests_are_of_namespaces(settings: Settings, found: list[bool]) -> None:
    site = documents_of({"a": Board(), "b": Board()}, settings)
    documents = [json.loads(text(site, f"namespaces/{name}/api/v1/board.json")) for name in ("a", "b")]
    assert [each["manifests"] for each in documents] == found


@pytest.mark.parametrize("path", ["none/", "namespaces/none/index.html", "namespaces/a/none/", "namespaces/"])
def test_what_is_not_there(demo: Board, path: str) -> None:
    site = Sites({"a": demo, "b": None}, Settings())
    assert site.find(path) is None
    assert "There is no such page" in site.missing(path)


def test_an_export_has_a_folder_for_each(demo: Board, other: Board, tmp_path: Path) -> None:
    site = documents_of({"a": demo, "b": other}, Settings(exported="2026-12-01"))
    assert export(site, tmp_path / "out") == len(set(site.paths()))
    assert (tmp_path / "out/namespaces/b/rounds/demo-tools-2/index.html").exists()
