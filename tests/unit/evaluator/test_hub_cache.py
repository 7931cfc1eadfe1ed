"""The cache's size: what is removed, what never."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bitagent_crds.minermodel import ModelFacts
from bitagent_evaluator.hub.cache import FRESH_SECONDS, RECORD, CacheRecord, ModelCache

HOUR = FRESH_SECONDS
FACTS = ModelFacts(
    commit="c" * 40, size_bytes=1000, parameters=1, architecture="X", weights_digest="sha256:" + "0" * 64
)


def add(cache: ModelCache, root: Path, name: str, age: float, size: int = 1000) -> Path:
    """A model used `age` seconds ago."""
    relative = f"acme/{name}/{'c' * 40}"
    (cache.partial(relative) / "model.safetensors").write_bytes(b"x" * size)
    cache.publish(relative, CacheRecord(facts=FACTS, files={"model.safetensors": size}))
    record = root / relative / RECORD
    os.utime(record, (time.time() - age, time.time() - age))
    return root / relative


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path)


def record_size(tmp_path: Path) -> int:
    return next(tmp_path.glob(f"*/*/*/{RECORD}")).stat().st_size


def test_used_longest_ago_goes_first(cache: ModelCache, tmp_path: Path) -> None:
    old, older, oldest = (add(cache, tmp_path, name, HOUR * age) for name, age in [("a", 2), ("b", 3), ("c", 4)])
    size = 1000 + record_size(tmp_path)
    assert cache.make_room(1000, 2 * size + 1000, keep="acme/new/x")
    assert (old.exists(), older.exists(), oldest.exists()) == (True, True, False)
    assert cache.make_room(1000, size + 1000, keep="acme/new/x")
    assert (old.exists(), older.exists()) == (True, False)


def test_model_used_within_the_hour_stays(cache: ModelCache, tmp_path: Path) -> None:
    fresh = add(cache, tmp_path, "a", HOUR / 2)
    assert not cache.make_room(1000, 1500, keep="acme/new/x")
    assert fresh.exists()


def test_finding_a_model_makes_it_fresh(cache: ModelCache, tmp_path: Path) -> None:
    old = add(cache, tmp_path, "a", HOUR * 5)
    assert cache.find(str(old.relative_to(tmp_path))) is not None
    assert not cache.make_room(1000, 1500, keep="acme/new/x")


def test_the_model_being_fetched_stays(cache: ModelCache, tmp_path: Path) -> None:
    relative = "acme/new/" + "d" * 40
    partial = cache.partial(relative)
    (partial / "model.safetensors.part").write_bytes(b"x" * 500)
    os.utime(partial / "model.safetensors.part", (0, 0))
    assert cache.make_room(1000, 1000, keep=relative)
    assert partial.exists()


def test_abandoned_fetch_goes(cache: ModelCache, tmp_path: Path) -> None:
    partial = cache.partial("acme/dead/" + "d" * 40)
    (partial / "model.safetensors.part").write_bytes(b"x" * 500)
    os.utime(partial / "model.safetensors.part", (0, 0))
    assert cache.make_room(1000, 1200, keep="acme/new/x")
    assert not partial.exists()


def test_no_limit_removes_nothing(cache: ModelCache, tmp_path: Path) -> None:
    old = add(cache, tmp_path, "a", HOUR * 100)
    assert cache.make_room(1 << 60, 0, keep="acme/new/x")
    assert old.exists()


def test_model_larger_than_the_cache_does_not_fit(cache: ModelCache, tmp_path: Path) -> None:
    add(cache, tmp_path, "a", HOUR * 100)
    assert not cache.make_room(2000, 1500, keep="acme/new/x")


def test_removal_that_was_killed_is_finished(cache: ModelCache, tmp_path: Path) -> None:
    trash = tmp_path / "acme" / "a" / ".cccc.removed-1"
    trash.mkdir(parents=True)
    (trash / "model.safetensors").write_bytes(b"x")
    cache.make_room(0, 0, keep="acme/new/x")
    assert not trash.exists()
