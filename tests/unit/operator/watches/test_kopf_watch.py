"""kopf as the watcher of one kind."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import kopf
import pytest
from aiohttp import web

from bitagent_kube.resources import JOBS, MODELS
from bitagent_operator.watches import kopf_watch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

OURS = "app.kubernetes.io/managed-by=bitagent-operator"


def test_kopf_writes_nothing_to_objects() -> None:
    settings = kopf_watch.settings(MODELS, labelled=False)
    assert (settings.posting.enabled, settings.scanning.disabled, settings.peering.standalone) == (False, True, True)
    assert settings.watching.inactivity_timeout == kopf_watch.SILENT_SECONDS > 60, "bookmarks come every minute"
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
        monkeypatch.setattr("bitagent_operator.watches.kopf_watch.kopf.operator", self.operator)

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
    await asyncio.to_thread(double.begun.wait, 60)
    assert double.loop is not None
    assert double.loop is not asyncio.get_running_loop()
    assert double.registry is not None
    (observer,) = (cast(Any, h.fn) for h in double.registry._watching.get_all_handlers())
    event = {"type": "ADDED", "object": make.model_raw("a")}
    asyncio.run_coroutine_threadsafe(observer(event=event), double.loop)
    assert await asyncio.wait_for(delivered.get(), 60) == ("ADDED", threading.current_thread())
    watching.cancel()
    await asyncio.wait([watching], timeout=60)
    assert double.ended.is_set(), "it ends with the task"


async def test_an_end_of_kopf_is_an_error_of_its_watch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    double, other = Kopf(monkeypatch), asyncio.create_task(asyncio.sleep(5))
    double.fail = KeyError("404")
    with pytest.raises(kopf_watch.WatchEnded, match="404"):
        await asyncio.wait_for(start(), 60)
    assert not other.done()
    other.cancel()


def _kind(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "singularName": kind.lower(), "namespaced": True, "verbs": ["list", "watch"]}


GROUPS = {"apiextensions.k8s.io": "v1", "bitagent.io": "v1alpha1"}
DISCOVERY: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [_kind("namespaces", "Namespace"), _kind("events", "Event")]},
    "/apis": {"groups": [{"name": g, "preferredVersion": {"version": v}, "versions": [{"version": v}]}
                         for g, v in GROUPS.items()]},
    "/apis/apiextensions.k8s.io/v1": {"resources": [_kind("customresourcedefinitions", "CustomResourceDefinition")]},
    "/apis/bitagent.io/v1alpha1": {"resources": [_kind("minermodels", "MinerModel")]},
}  # fmt: skip


@pytest.fixture
async def api(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[None]:
    """An API server with two models, whose first watch ends with the order to list again."""
    models, watches = [make.model_raw("a"), make.model_raw("b")], 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal watches
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "9"}, "items": models})
        watches += 1
        if watches > 1:
            await asyncio.Event().wait()
        return web.Response(text=json.dumps({"type": "ERROR", "object": {"code": 410}}) + "\n")

    async with serving(answer) as server:
        use(server, "t", monkeypatch, tmp_path)
        yield


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve what the function answers; yields the address."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def use(server: str, token: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Write the kubeconfig that kopf reads when it logs in."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "current-context": "c",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))


@pytest.mark.usefixtures("api")
async def test_the_objects_of_each_list_of_kopf_are_said_to_be_listed() -> None:
    delivered = asyncio.Queue[tuple[str, str]]()
    watching = start(lambda event, obj: delivered.put_nowait((event, obj["metadata"]["name"])))
    found = [await asyncio.wait_for(delivered.get(), 60) for _ in range(4)]
    assert sorted(found) == [(kopf_watch.LISTED, name) for name in ("a", "a", "b", "b")]
    watching.cancel()
    await asyncio.wait([watching], timeout=60)


async def test_a_watch_follows_a_token_that_was_renewed(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pod's token is replaced before it expires; kopf reads the new one when the old one is refused."""
    valid, watches = "old", asyncio.Queue[str]()
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token != valid:
            return web.json_response({"kind": "Status", "code": 401}, status=401)
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "9"}, "items": [make.model_raw("a")]})
        watches.put_nowait(token)
        await (ended.wait() if token == "old" else asyncio.Event().wait())
        return web.Response(text="")

    async with serving(answer) as server:
        use(server, "old", monkeypatch, tmp_path)
        delivered = asyncio.Queue[str]()
        watching = start(lambda _event, obj: delivered.put_nowait(obj["metadata"]["name"]))
        assert await asyncio.wait_for(watches.get(), 60) == "old"
        use(server, "new", monkeypatch, tmp_path)
        valid = "new"
        ended.set()
        assert await asyncio.wait_for(watches.get(), 60) == "new"
        assert not watching.done()
        watching.cancel()
        await asyncio.wait([watching], timeout=60)
