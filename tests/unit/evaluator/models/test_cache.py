"""The cache's size: what is removed, what never."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import CacheRoom
from bitagent_crds.minermodel import ModelFacts
from bitagent_crds.names import cache_id
from bitagent_evaluator.models import cache as cache_module
from bitagent_evaluator.models.cache import FRESH_SECONDS, RECORD, SPARE_BYTES, CacheRecord, ModelCache
from bitagent_evaluator.support.faults import FetchError

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


def fits(cache: ModelCache, needed: int, limit: int, *, keep: str = "acme/new/x", **room: Any) -> bool:
    return not cache.make_room(needed, limit, keep=keep, room=CacheRoom(**room))


def ids(root: Path, *folders: Path) -> list[str]:
    return [cache_id(str(folder.relative_to(root))) for folder in folders]


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path)


def record_size(tmp_path: Path) -> int:
    return next(tmp_path.glob(f"*/*/*/{RECORD}")).stat().st_size


def test_used_longest_ago_goes_first(cache: ModelCache, tmp_path: Path) -> None:
    old, older, oldest = (add(cache, tmp_path, name, HOUR * age) for name, age in [("a", 2), ("b", 3), ("c", 4)])
    size = 1000 + record_size(tmp_path)
    assert fits(cache, 1000, 2 * size + 1000)
    assert (old.exists(), older.exists(), oldest.exists()) == (True, True, False)
    assert fits(cache, 1000, size + 1000)
    assert (old.exists(), older.exists()) == (True, False)
    assert (cache.evicted_models, cache.evicted_bytes) == (2, 2 * size)


def test_model_used_within_the_hour_stays(cache: ModelCache, tmp_path: Path) -> None:
    fresh = add(cache, tmp_path, "a", HOUR / 2)
    assert not fits(cache, 1000, 1500)
    assert fresh.exists()


def test_finding_a_model_makes_it_fresh(cache: ModelCache, tmp_path: Path) -> None:
    old = add(cache, tmp_path, "a", HOUR * 5)
    assert cache.find(str(old.relative_to(tmp_path))) is not None
    assert not fits(cache, 1000, 1500)


def test_the_model_being_fetched_stays(cache: ModelCache, tmp_path: Path) -> None:
    relative = "acme/new/" + "d" * 40
    partial = cache.partial(relative)
    (partial / "model.safetensors.part").write_bytes(b"x" * 500)
    os.utime(partial / "model.safetensors.part", (0, 0))
    assert fits(cache, 1000, 1000, keep=relative)
    assert partial.exists()


def test_abandoned_fetch_goes(cache: ModelCache, tmp_path: Path) -> None:
    partial = cache.partial("acme/dead/" + "d" * 40)
    (partial / "model.safetensors.part").write_bytes(b"x" * 500)
    os.utime(partial / "model.safetensors.part", (0, 0))
    assert fits(cache, 1000, 1200)
    assert not partial.exists()


def test_no_limit_removes_nothing(cache: ModelCache, tmp_path: Path) -> None:
    old = add(cache, tmp_path, "a", HOUR * 100)
    assert fits(cache, 1 << 20, 0)
    assert old.exists()


def test_model_larger_than_the_cache_does_not_fit(cache: ModelCache, tmp_path: Path) -> None:
    add(cache, tmp_path, "a", HOUR * 100)
    assert not fits(cache, 2000, 1500)


def test_removal_that_was_killed_is_finished(cache: ModelCache, tmp_path: Path) -> None:
    trash = tmp_path / "acme" / "a" / ".cccc.removed-1"
    trash.mkdir(parents=True)
    (trash / "model.safetensors").write_bytes(b"x")
    assert fits(cache, 0, 0)
    assert not trash.exists()


def test_a_model_in_use_is_never_removed(cache: ModelCache, tmp_path: Path) -> None:
    used, other = (add(cache, tmp_path, name, HOUR * age) for name, age in [("a", 9), ("b", 2)])
    size = 1000 + record_size(tmp_path)
    in_use = ids(tmp_path, used)
    assert fits(cache, 1000, size + 1000, in_use=in_use)
    assert (used.exists(), other.exists()) == (True, False)
    assert not fits(cache, 1000, size, in_use=in_use)
    assert used.exists()


def test_what_was_evaluated_goes_first_also_when_fresh(cache: ModelCache, tmp_path: Path) -> None:
    old, done = (add(cache, tmp_path, name, HOUR * age) for name, age in [("a", 9), ("b", 0)])
    size = 1000 + record_size(tmp_path)
    assert fits(cache, 1000, size + 1000, done=ids(tmp_path, done))
    assert (old.exists(), done.exists()) == (True, False)


def test_a_hotkey_pays_for_its_share_with_its_own_models(cache: ModelCache, tmp_path: Path) -> None:
    own, older, others = (add(cache, tmp_path, name, HOUR * age) for name, age in [("a", 0), ("b", 0.1), ("c", 9)])
    size = 1000 + record_size(tmp_path)
    same = {"same_hotkey": ids(tmp_path, own, older), "share_bytes": size + 1000}
    assert fits(cache, 1000, 100 * size, **same)
    assert [m.exists() for m in (own, older, others)] == [True, False, True], "the cache itself has room for all"
    assert not fits(cache, 1000, 100 * size, in_use=ids(tmp_path, own), **(same | {"share_bytes": size}))
    assert own.exists()


def test_nothing_is_removed_in_vain(cache: ModelCache, tmp_path: Path) -> None:
    old, fresh = (add(cache, tmp_path, name, HOUR * age) for name, age in [("a", 9), ("b", 0)])
    assert not fits(cache, 3000, 3500)
    assert (old.exists(), fresh.exists()) == (True, True)


def test_a_running_fetch_has_its_room_reserved(cache: ModelCache, tmp_path: Path) -> None:
    """Or two that begin together would fill the volume."""
    assert fits(cache, 1000, 1500, keep="acme/one/" + "d" * 40)
    assert not fits(cache, 1000, 1500, keep="acme/two/" + "d" * 40)
    assert fits(cache, 1000, 1500, keep="acme/one/" + "d" * 40), "the same fetch again"


def test_a_published_model_counts_as_it_is(cache: ModelCache, tmp_path: Path) -> None:
    relative = "acme/one/" + "d" * 40
    assert fits(cache, 10_000, 20_000, keep=relative)
    (cache.partial(relative) / "model.safetensors").write_bytes(b"x" * 10)
    cache.publish(relative, CacheRecord(facts=FACTS, files={"model.safetensors": 10}))
    assert fits(cache, 15_000, 20_000)


def volume(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(cache_module, "_free", lambda _: free + SPARE_BYTES)


def test_a_volume_smaller_than_the_limit_is_the_limit(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = add(cache, tmp_path, "a", HOUR * 100)
    volume(monkeypatch, 500)
    assert fits(cache, 1200, 1 << 40)
    assert not old.exists()


def test_models_in_use_fill_a_small_volume(cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = add(cache, tmp_path, "a", HOUR * 100)
    volume(monkeypatch, 500)
    assert not fits(cache, 1200, 1 << 40, in_use=ids(tmp_path, old))
    assert old.exists()


@pytest.mark.parametrize(
    ("limit", "needed", "fits_in"),
    [
        pytest.param(1 << 40, 3000, False, id="more than the whole volume"),
        pytest.param(0, 600, False, id="more than is free, and nothing may be removed"),
        pytest.param(0, 500, True, id="what is free"),
    ],
)
def test_a_full_volume_is_named_before_the_first_byte(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, needed: int, *, fits_in: bool
) -> None:
    old = add(cache, tmp_path, "a", HOUR * 100)
    volume(monkeypatch, 500)
    if fits_in:
        assert fits(cache, needed, limit)
        return
    with pytest.raises(FetchError, match=str(needed)) as error:
        fits(cache, needed, limit)
    assert error.value.reason is Reason.VOLUME_FULL
    assert old.exists()


def test_without_a_limit_fetches_do_not_fill_the_volume_together(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume(monkeypatch, 1000)
    one, two = "acme/one/" + "d" * 40, "acme/two/" + "d" * 40
    assert fits(cache, 600, 0, keep=one)
    with pytest.raises(FetchError):
        fits(cache, 600, 0, keep=two)
    left = cache.partial(one)
    for entry in (left, *left.iterdir()):
        os.utime(entry, (time.time() - HOUR, time.time() - HOUR))
    assert fits(cache, 600, 0, keep=two), "a fetch that was given up reserves nothing"


def test_what_an_earlier_attempt_has_left_needs_no_room(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative = "acme/one/" + "d" * 40
    (cache.partial(relative) / "model.safetensors.part").write_bytes(b"x" * 900)
    volume(monkeypatch, 200)
    assert fits(cache, 1000, 0, keep=relative)
