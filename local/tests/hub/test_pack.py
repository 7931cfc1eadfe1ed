"""Lists of repositories, and the commits that they pack to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster.host import SOURCES
from bitagent_local.hub import pack, repository

MODELS = SOURCES / "models"


DEMO = [
    "acme/tiny-fc-1200",
    "blue/tiny-fc-600",
    "coral/tiny-fc-400",
    "delta/tiny-fc-250",
    "echo/tiny-fc-1200-copy",
    "bad/truncated",
    "bad/pickle",
    "bad/nan",
    "memo/tiny-memo",
    "sense/tiny-sense",
    "world/tiny-rewriter",
]


def test_demo_list_packs_to_the_same_commits_again(tmp_path: Path) -> None:
    spec = pack.load(MODELS / "repositories.yaml")
    first = pack.pack(spec, folders=MODELS, root=tmp_path / "one")
    second = pack.pack(spec, folders=MODELS, root=tmp_path / "two")
    assert first == second
    assert pack.pack(spec, folders=MODELS, root=tmp_path / "two") == second
    assert list(first) == DEMO
    assert len(set(first.values())) == len(DEMO)
    assert [found.name for found in repository.every(tmp_path / "one")] == sorted(DEMO)
    assert not list((tmp_path / "two").glob("*/.packing-*"))


def test_commit_depends_on_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    commit = pack.commit_id("acme/model", tmp_path)
    assert repository.COMMIT.fullmatch(commit)
    assert pack.commit_id("echo/model", tmp_path) != commit
    (tmp_path / "a.txt").write_text("two")
    assert pack.commit_id("acme/model", tmp_path) != commit


LISTS: dict[str, tuple[str, str]] = {
    "no main branch": ("repositories: [{repo: a/b, branches: {dev: {model: tiny-fc-250}}}]", "no branch main"),
    "unknown damage": ("repositories: [{repo: a/b, branches: {main: {model: m, damage: rot}}}]", "no damage 'rot'"),
    "tag of nothing": (
        "repositories: [{repo: a/b, branches: {main: {model: m}}, tags: {v1: dev}}]",
        "unknown branches",
    ),
    "no owner": ("repositories: [{repo: b, branches: {main: {model: m}}}]", "repo"),
    "not YAML": ("{", "not YAML"),
}


@pytest.mark.parametrize(("content", "message"), LISTS.values(), ids=LISTS.keys())
def test_bad_lists_are_explained(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        pack.load(file)


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"main": {}}, "a model or a dataset"),
        ({"main": {"model": "m", "dataset": "d"}}, "a model or a dataset"),
        ({"main": {"dataset": "d", "damage": "nan"}}, "only models are damaged"),
        ({"main": {"dataset": "d"}, "dev": {"model": "m"}}, "branches with models and branches with datasets"),
    ],
    ids=["neither", "both", "damaged", "mixed"],
)
def test_lists_that_make_no_sense(branches: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack.RepositorySpec.model_validate({"repo": "a/b", "branches": branches})
