"""The cache of rewriter responses: its file, and what an interrupted build leaves in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_crds.texts import digest_of
from bitagent_evaluator.alterations.rewrite_cache import REWRITES, CachedResponse, RewriteCache

RESPONSES = {
    "b": CachedResponse("Hello"),
    "a": CachedResponse("Hel", cut_off=True),
    "c": CachedResponse(None, failure="timed_out"),
}
LINES = [
    {"key": "a", "text": "Hel", "cut_off": True},
    {"key": "b", "text": "Hello"},
    {"key": "c", "failed": "timed_out"},
]


def fill(cache: RewriteCache) -> RewriteCache:
    for key, response in RESPONSES.items():
        assert cache.get(key) is None
        cache.add(key, response)
    return cache


def test_the_file_has_the_used_responses_by_key(tmp_path: Path) -> None:
    with fill(RewriteCache(tmp_path)) as cache:
        assert cache.write() == {REWRITES: digest_of((tmp_path / REWRITES).read_bytes())}
    assert [json.loads(line) for line in (tmp_path / REWRITES).read_bytes().splitlines()] == LINES
    again = RewriteCache(tmp_path / "other", reuse=tmp_path / REWRITES)
    assert {key: again.get(key) for key in RESPONSES} == RESPONSES


def test_responses_that_a_build_does_not_use_are_dropped(tmp_path: Path) -> None:
    fill(RewriteCache(tmp_path)).write()
    cache = RewriteCache(tmp_path)
    assert cache.get("b") == RESPONSES["b"]
    cache.write()
    assert [json.loads(line) for line in (tmp_path / REWRITES).read_bytes().splitlines()] == LINES[1:2]


def test_an_interrupted_build_leaves_its_responses_but_no_failures(tmp_path: Path) -> None:
    with fill(RewriteCache(tmp_path)):
        pass
    (tmp_path / REWRITES).write_bytes((tmp_path / REWRITES).read_bytes() + b'{"key": "to')
    with RewriteCache(tmp_path) as cache:
        assert (cache.get("a"), cache.get("b"), cache.get("c")) == (RESPONSES["a"], RESPONSES["b"], None)
        cache.add("d", CachedResponse("Bye"))
    assert RewriteCache(tmp_path).get("d") == CachedResponse("Bye"), "a torn line does not spoil the next one"


@pytest.mark.parametrize(
    "line", ["{}", "[]", "x", '{"key": "a"}', '{"key": 1, "text": "x"}', '{"key": "a", "text": 1}']
)
def test_a_reused_file_must_hold_responses_only(tmp_path: Path, line: str) -> None:
    (tmp_path / "reused.jsonl").write_text('{"key": "a", "text": "x"}\n' + line + "\n")
    with pytest.raises(ValueError, match="line 2"):
        RewriteCache(reuse=tmp_path / "reused.jsonl")


def test_without_a_directory_nothing_is_written() -> None:
    cache = fill(RewriteCache())
    assert cache.get("b") == RESPONSES["b"]
    assert cache.write() == {}
