from __future__ import annotations

import gzip

from bitagent_leaderboard.serving.cache import DocumentCache
from bitagent_leaderboard.site.documents import Source


def source(text: str, depends: object = 1) -> Source:
    return Source("text/plain", depends, lambda: text)


def test_rendered_once_per_change() -> None:
    cache = DocumentCache()
    first = cache.get("a", source("x"))
    assert cache.get("a", source("never rendered")) is first
    second = cache.get("a", source("y", 2))
    assert (second.content, cache.misses) == (b"y", 2)
    assert first.etag != second.etag


def test_the_same_content_has_the_same_tag() -> None:
    cache = DocumentCache()
    assert cache.get("a", source("x")).etag == cache.get("a", source("x", 2)).etag


def test_large_documents_are_compressed_alike() -> None:
    one, other = (DocumentCache().get("a", source("x" * 1000)) for _ in range(2))
    assert one.compressed == other.compressed
    assert gzip.decompress(one.compressed or b"") == one.content
    assert DocumentCache().get("a", source("x")).compressed is None


def test_the_oldest_give_way() -> None:
    cache = DocumentCache(limit=3000)
    for name in "abcdef":
        cache.get(name, source("x" * 300))
        cache.get("a", source("x" * 300))
    misses = cache.misses
    cache.get("a", source("x" * 300))
    assert cache.misses == misses, "asked for last"
    cache.get("b", source("x" * 300))
    assert cache.misses == misses + 1
