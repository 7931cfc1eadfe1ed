"""kopf as the watcher of one kind."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import kopf
import pytest

from bitagent_kube.resources import JOBS, MODELS
from bitagent_operator import kopf_watch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

OURS = "app.kubernetes.io/managed-by=bitagent-operator"


def test_kopf_writes_nothing_to_objects() -> None:
    settings = kopf_watch.settings(MODELS, labelled=False)
    assert (settings.posting.enabled, settings.scanning.disabled, settings.peering.standalone) == (False, True, True)
    assert settings.process.ultimate_exiting_timeout is None, "it kills the process when a watch has ended"
    assert ("bitagent.io", "v1alpha1", "minermodels") not in settings.watching.label_selectors
    assert kopf_watch.settings(JOBS, labelled=True).watching.label_selectors["batch", "v1", "jobs"] == OURS


async def test_events_of_kopf_are_delivered(make: Make) -> None:
    delivered: list[tuple[str, str]] = []
    registry = kopf_watch.registry(
        MODELS, labelled=False, deliver=lambda event, obj: delivered.append((event, obj["metadata"]["name"]))
    )
    (observer,) = (cast(Any, h.fn) for h in registry._watching.get_all_handlers())
    for event in (None, "MODIFIED", "DELETED"):
        await observer(event={"type": event, "object": make.model_raw("a")})
    assert delivered == [("None", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


class Kopf:
    """In place of kopf.operator, in whatever thread it is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.begun, self.ended = threading.Event(), threading.Event()
        self.fail: Exception | None = None
        self.registry: kopf.OperatorRegistry | None = None
        monkeypatch.setattr("bitagent_operator.kopf_watch.kopf.operator", self.operator)

    async def operator(self, *, registry: kopf.OperatorRegistry, **_: Any) -> None:
        self.loop, self.registry = asyncio.get_running_loop(), registry
        self.begun.set()
        try:
            if self.fail is not None:
                raise self.fail
            await asyncio.Event().wait()
        finally:
            self.ended.set()


def start(deliver: kopf_watch.Deliver = lambda *_: None) -> asyncio.Task[None]:
    return asyncio.create_task(kopf_watch.watch(MODELS, namespace="ns", labelled=False, deliver=deliver))


async def test_each_kopf_has_an_event_loop_of_its_own_and_delivers_into_ours(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    double, delivered = Kopf(monkeypatch), asyncio.Queue[tuple[str, threading.Thread]]()
    watching = start(lambda event, _obj: delivered.put_nowait((event, threading.current_thread())))
    await asyncio.to_thread(double.begun.wait, 5)
    assert double.loop is not None
    assert double.loop is not asyncio.get_running_loop()
    assert double.registry is not None
    (observer,) = (cast(Any, h.fn) for h in double.registry._watching.get_all_handlers())
    event = {"type": "ADDED", "object": make.model_raw("a")}
    asyncio.run_coroutine_threadsafe(observer(event=event), double.loop)
    assert await asyncio.wait_for(delivered.get(), 60) == ("ADDED", threading.current_thread())
    watching.cancel()
    await asyncio.wait([watching], timeout=5)
    assert double.ended.is_set(), "it ends with the task"


async def test_an_end_of_kopf_is_an_error_of_its_watch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    double, other = Kopf(monkeypatch), asyncio.create_task(asyncio.sleep(5))
    double.fail = KeyError("404")
    with pytest.raises(kopf_watch.WatchEnded, match="404"):
        await asyncio.wait_for(start(), 60)
    assert not other.done()
    other.cancel()
