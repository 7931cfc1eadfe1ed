"""Volumes of single models: their size, and which give way to another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import CacheRoom
from bitagent_crds.names import CACHE_LABEL, cache_id, cached_model_path
from bitagent_operator.plan.inputs import ModelVolume
from bitagent_operator.plan.models.model_volumes import busy_ids, last_used, make_room, volume_bytes

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

GIB = 1 << 30
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "volume"),
    [
        pytest.param(0, GIB, id="the smallest"),
        pytest.param(100, GIB, id="tiny"),
        pytest.param(10 * GIB, 11 * GIB + (256 << 20), id="a tenth and 256 MiB more"),
        pytest.param(10 * GIB + 1, 11 * GIB + (257 << 20), id="whole mebibytes"),
    ],
)
def test_size(size: int, volume: int) -> None:
    assert volume_bytes(size) == volume


def made(name: str, size: int = 10, *, hours: float = 5, deleting: bool = False) -> ModelVolume:
    """A volume that was made so many hours ago; its name is a letter."""
    return ModelVolume(name * 12, f"claim-{name}", f"uid-{name}", size, NOW - timedelta(hours=hours), deleting)


def ids(names: str) -> list[str]:
    return [name * 12 for name in names]


A, B, C = made("a", hours=7), made("b", hours=6), made("c", hours=5)


@pytest.mark.parametrize(
    ("volumes", "limit", "kept", "deleted"),
    [
        pytest.param([A, B, C], 0, {}, "", id="no limit"),
        pytest.param([A, B, C], 40, {}, "", id="there is room"),
        pytest.param([A, B, C], 39, {}, "a", id="the oldest"),
        pytest.param([C, A, B], 20, {}, "ab", id="as many as it takes"),
        pytest.param([A, B, C], 39, {"in_use": "a"}, "b", id="never what a running round needs"),
        pytest.param([A, B, C], 39, {"busy": "ab"}, "c", id="never what a pod uses"),
        pytest.param([A, B, C], 39, {"done": "c"}, "c", id="evaluated ones first"),
        pytest.param([A, B, C], 39, {"done": "c", "in_use": "c"}, "a", id="unless another round needs it"),
        pytest.param([A, B, C], 39, {"used": "a"}, "b", id="used just now"),
        pytest.param([A, B, C], 39, {"used": "a", "done": "a"}, "a", id="used just now, and evaluated"),
        pytest.param([A, B, C], 29, {"in_use": "ab"}, None, id="nothing in vain"),
        pytest.param([A], 19, {"busy": "a"}, None, id="all are in use"),
        pytest.param([made("a", hours=0.5)], 19, {}, None, id="made within the hour"),
        pytest.param([made("a", deleting=True), B], 29, {}, "", id="one that goes already makes room"),
        pytest.param([made("a", deleting=True), B], 29, {"busy": "a"}, "b", id="unless a pod keeps it"),
        pytest.param([A, B, C], 100, {"own": "ab", "share": 25}, "a", id="the hotkey's own share"),
        pytest.param([A, B, C], 100, {"own": "ab", "share": 25, "in_use": "ab"}, None, id="its share is in use"),
        pytest.param([A, B], 100, {"own": "ab", "share": 10, "used": "ab"}, "ab", id="its own, also fresh ones"),
        pytest.param([A, B, C], 29, {"own": "c", "share": 15}, "ca", id="its own first, then others"),
    ],
)
def test_what_gives_way(volumes: list[ModelVolume], limit: int, kept: dict[str, Any], deleted: str | None) -> None:
    room = CacheRoom(
        in_use=ids(kept.get("in_use", "")),
        done=ids(kept.get("done", "")),
        same_hotkey=ids(kept.get("own", "")),
        share_bytes=kept.get("share", 0),
    )
    used = dict.fromkeys(ids(kept.get("used", "")), NOW - timedelta(minutes=5))
    busy = frozenset(ids(kept.get("busy", "")))
    found = make_room(volumes, needed=10, limit=limit, room=room, busy=busy, used=used, now=NOW)
    names = "".join(each.name.removeprefix("claim-") for each in found.delete)
    assert (names if not found.full else None) == deleted


def test_who_uses_a_volume(make: Make) -> None:
    def job(name: str, **more: Any) -> Any:
        return make.job(name, owner="uid-r", labels={CACHE_LABEL: name * 12}, **more)

    jobs = [job("a"), job("b", ended="Complete"), job("c", ended="Failed"), make.job("d", owner="uid-r")]
    pods = [make.pod(jobs[2]), make.pod(jobs[1], code=0)]
    assert busy_ids(jobs, pods) == frozenset(ids("ac")), "a Job that runs, and a pod that outlives its Job"


def test_when_files_were_used_last(make: Make) -> None:
    fetched = make.model("a", fetched=True, at=50)
    entry = make.admitted("a") | {"state": "Succeeded", "finishedAt": "2026-01-01T00:05:00Z"}
    observed = make.started("a", results={"a": entry})
    name = cache_id(cached_model_path("org/a", "a" * 40))
    assert last_used([fetched], []) == {name: make.at(50)}
    assert last_used([fetched], [observed]) == {name: make.at(300)}
