"""Objects in memory, whatever order they come in."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_kube import cache as module
from bitagent_kube.cache import ObjectCache


def obj(name: str, version: int, *, uid: str = "", value: Any = 0) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}, "value": value}


@pytest.fixture
def cache() -> ObjectCache[int]:
    return ObjectCache("Thing", lambda o: int(o["value"]))


def test_the_newer_version_wins(cache: ObjectCache[int]) -> None:
    assert cache.put(obj("a", 9, value=5)).changed
    change = cache.put(obj("a", 10, value=6))
    assert (change.before, change.after) == (5, 6)
    assert not cache.put(obj("a", 9, value=5)).changed, "10 is newer than 9, though not as text"
    assert (list(cache), len(cache)) == ([6], 1)


def test_a_deleted_object_does_not_come_back_by_an_older_event(cache: ObjectCache[int]) -> None:
    cache.put(obj("a", 1, value=5))
    change = cache.drop("uid-a")
    assert (change.before, change.after) == (5, None)
    assert not cache.put(obj("a", 2)).changed
    assert list(cache) == []


def test_an_object_that_lost_its_labels_comes_back_with_them(cache: ObjectCache[int]) -> None:
    """The watch of a selector reports it as deleted, at the version of the change; it is read by its name then."""
    cache.put(obj("a", 1, value=5))
    cache.drop("uid-a", version=4)
    assert not cache.put(obj("a", 3, value=5)).changed, "a read that was answered before"
    assert cache.put(obj("a", 4, value=6)).changed
    assert cache.put(obj("a", 5, value=7)).changed
    assert list(cache) == [7]


def test_an_object_that_a_list_lacks_comes_back_with_its_labels(cache: ObjectCache[int]) -> None:
    cache.put(obj("a", 1, value=5))
    known = cache.begin_list()
    cache.listed_at("9")
    cache.replace([], known=known)
    assert not cache.put(obj("a", 8, value=6)).changed
    assert cache.put(obj("a", 10, value=7)).changed


def test_an_object_of_the_same_name_is_another_one(cache: ObjectCache[int]) -> None:
    cache.put(obj("a", 1, value=5))
    cache.drop("uid-a")
    cache.put(obj("a", 3, uid="new", value=7))
    assert cache.by_name() == {"a": 7}


def test_of_two_with_one_name_the_newer_counts(cache: ObjectCache[int]) -> None:
    """The deletion of the first has not been seen yet."""
    cache.put(obj("a", 3, uid="new", value=7))
    cache.put(obj("a", 1, uid="old", value=5))
    assert cache.by_name() == {"a": 7}


def test_names_are_in_order_whichever_object_changed_last(cache: ObjectCache[int]) -> None:
    """What depends on the order must not change with a restart, nor with an update of a status."""
    for name, version in (("b", 1), ("a", 2), ("c", 3), ("a", 9)):
        cache.put(obj(name, version))
    assert list(cache.by_name()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("version", "values"),
    [
        pytest.param("7", [3, 0], id="restored from a backup"),
        pytest.param("12", [5, 0], id="as new as what is known: an old page counts for nothing"),
        pytest.param("", [5, 0], id="unknown"),
    ],
)
def test_a_server_whose_versions_begin_again_is_believed(
    cache: ObjectCache[int], version: str, values: list[int]
) -> None:
    cache.put(obj("a", 10, value=5))
    cache.put(obj("b", 12, value="x"))
    known = cache.begin_list()
    cache.put(obj("c", 99))  # by a watch, meanwhile
    cache.drop("uid-c")
    cache.listed_at(version)
    cache.replace([obj("a", 6, value=3), obj("b", 12, value=0)], known=known)
    assert [cache.by_name().get(name, 0) for name in "ab"] == values
    assert len(cache.unreadable) == (version != "7")
    cache.put(obj("a", 8 if version == "7" else 13, value=9))
    assert cache.by_name()["a"] == 9, "later changes count as ever"


def test_a_full_list_removes_what_a_lost_watch_missed(cache: ObjectCache[int]) -> None:
    for name in ("a", "b"):
        cache.put(obj(name, 1))
    known = cache.begin_list()
    cache.put(obj("c", 3))  # came while the list was read
    changes = cache.replace([obj("b", 2)], known=known)
    assert sorted(cache.by_name()) == ["b", "c"]
    assert [change.after is None for change in changes] == [False, True]


def test_deletions_are_forgotten_before_a_full_list(cache: ObjectCache[int]) -> None:
    cache.drop("uid-a")
    known = cache.begin_list()
    cache.replace([obj("a", 5)], known=known)
    assert sorted(cache.by_name()) == ["a"]


def test_deletions_do_not_grow_without_bound(cache: ObjectCache[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELETIONS_KEPT", 2)
    for name in "abc":
        cache.drop(f"uid-{name}")
    assert cache.put(obj("a", 1)).changed
    assert not cache.put(obj("c", 1)).changed


def test_what_cannot_be_read_is_ignored(cache: ObjectCache[int], caplog: pytest.LogCaptureFixture) -> None:
    cache.put(obj("a", 1, value=5))
    assert not cache.put(obj("a", 2, value="invented later")).changed
    assert [bad.meta.name for bad in cache.unreadable.values()] == ["a"]
    assert list(cache) == [5]
    assert "Thing a cannot be read" in caplog.text
