"""Faults of the API server between the operator and a real one: a proxy answers, ends and silences as the test says."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from bitagent_kube.retry import ATTEMPTS

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration

GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
_KEPT = ("Authorization", "Content-Type", "Accept")


class Proxy:
    """Passes requests on to an API server, but for the faults."""

    def __init__(self, server: str) -> None:
        self.busy = 0
        """How many of the next writes are answered 429."""
        self.silent = False
        """Whether watches bring nothing from now on, and those that begin meanwhile do not either."""
        self.lasts: float | None = None
        """Seconds after which watches that begin from now on end; each of their events comes twice, and is followed by
        the oldest one."""
        self.slow = 0.0
        """Seconds that each request but watches takes, half of them before the server has it."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """Answers by method and status code; those to watches count as WATCH."""
        self._server = server
        self._watches: set[asyncio.Event] = set()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def expire(self) -> None:
        """End all watches with the error that what they follow is too old."""
        for watch in list(self._watches):
            self._loop.call_soon_threadsafe(watch.set)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=10**7)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        watches, lease = "watch" in request.query, "/leases" in request.path
        method = "WATCH" if watches else request.method
        if self.busy and method in ("POST", "PATCH", "DELETE") and not lease:
            self.busy -= 1
            self.answers[method, 429] += 1
            return web.json_response({"kind": "Status", "code": 429}, status=429, headers={"Retry-After": "1"})
        half = 0.0 if watches else self.slow / 2
        await asyncio.sleep(half)
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        sent = self._session.request(
            request.method,
            self._server + request.raw_path,
            headers=headers,
            data=await request.read() or None,
            timeout=None,
        )
        async with sent as answer:
            self.answers[method, answer.status] += 1
            await asyncio.sleep(half)
            if not watches or answer.status != 200:
                kept = {
                    name: answer.headers[name]
                    for name in ("Content-Type", "Date", "Retry-After")
                    if name in answer.headers
                }
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
            return await self._stream(request, answer)

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        expired = asyncio.Event()
        self._watches.add(expired)
        ending = asyncio.create_task(expired.wait())
        lasts, oldest, rest = self.lasts, b"", b""
        over = asyncio.get_running_loop().time() + (lasts or 0.0)
        try:
            while True:
                reading = asyncio.ensure_future(answer.content.readany())
                left = max(0.0, over - asyncio.get_running_loop().time()) if lasts else None
                await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED, timeout=left)
                if not reading.done() and not ending.done():
                    reading.cancel()
                    return response
                if ending.done():
                    reading.cancel()
                    await response.write(json.dumps(GONE).encode() + b"\n")
                    return response
                part = reading.result()
                if not part:
                    return response
                if lasts:
                    *lines, rest = (rest + part).split(b"\n")
                    oldest = oldest or next(iter(lines), b"")
                    part = b"".join(b"%b\n%b\n%b\n" % (line, line, oldest) for line in lines)
                if not self.silent:
                    await response.write(part)
        finally:
            ending.cancel()
            self._watches.discard(expired)


@pytest.fixture
def proxied(world: World) -> Iterator[Proxy]:
    """The world's operator behind a proxy; full lists are too rare to help."""
    kubeconfig = Path(world.environment["KUBECONFIG"])
    content: dict[str, Any] = json.loads(kubeconfig.read_text())
    config = Path(world.environment["BITAGENT_CONFIG"])
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"relistSeconds": 3600}))
    with Proxy(content["clusters"][0]["cluster"]["server"]) as proxy:
        content["clusters"][0]["cluster"] = {"server": proxy.url}
        kubeconfig.write_text(json.dumps(content))
        yield proxy
        for process in world.operators:
            process.kill()
            process.wait()


def settle(world: World, proxy: Proxy) -> None:
    """Wait until the operator has done something and follows all kinds."""
    world.start_operator()
    world.model("m-100")
    world.until_condition("minermodels", "m-100", "Fetched")
    world.until("all kinds are watched", lambda: proxy.answers["WATCH", 200] >= 6)


def test_watches_that_are_too_old_are_begun_again(world: World, proxied: Proxy) -> None:
    settle(world, proxied)
    before = proxied.answers["WATCH", 200]
    proxied.expire()
    world.model("m-500")
    world.round("r")
    world.until_condition("evalrounds", "r", "Complete")
    assert proxied.answers["WATCH", 200] >= before + 6
    assert set(world.results("r")) == {"m-100", "m-500"}


def test_a_server_that_is_busy_is_asked_again_and_nothing_is_done_twice(world: World, proxied: Proxy) -> None:
    settle(world, proxied)
    proxied.busy = ATTEMPTS - 1  # even if one request gets them all, its last attempt is carried out
    world.model("m-500")
    world.round("r")
    world.until_condition("evalrounds", "r", "Complete")
    assert sum(n for (_, code), n in proxied.answers.items() if code == 429) == ATTEMPTS - 1
    names = [job["metadata"]["name"] for job in world.all("jobs")]
    assert len(names) == len(set(names)) <= 5, "a fetch and an evaluation of each, and the task set"
    assert "JobNotCreated" not in {event["reason"] for event in world.all("events")}


def test_watches_that_end_each_second_and_repeat_themselves(world: World, proxied: Proxy) -> None:
    proxied.lasts = 1.0
    settle(world, proxied)
    world.model("m-500")
    world.round("r")
    world.until_condition("evalrounds", "r", "Complete")
    found = {m: (r["state"], r["attempts"]) for m, r in world.results("r").items()}
    assert found == {"m-100": ("Succeeded", 1), "m-500": ("Succeeded", 1)}
    world.until("they were begun again", lambda: proxied.answers["WATCH", 200] > 12, 15)


def test_requests_that_take_five_seconds_from_now_on_stop_nothing(world: World, proxied: Proxy) -> None:
    settle(world, proxied)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/bitagent-operator"
    proxied.slow = 5.0
    world.model("m-500")
    world.until_condition("minermodels", "m-500", "Fetched", seconds=120)
    lease = world.until("the Lease lasts longer", lambda: _longer(world.api.get(path)["spec"]))
    assert lease["leaseTransitions"] == 1
    assert "no longer leads" not in world.log.read_text()
    assert [event["reason"] for event in world.all("events") if event["reason"].startswith("JobNot")] == []
    proxied.slow = 0.0
    world.until("another acts soon again", lambda: not _longer(world.api.get(path)["spec"]))


def _longer(lease: dict[str, Any]) -> dict[str, Any] | None:
    return lease if lease["leaseDurationSeconds"] > 4 else None


def test_watches_that_fall_silent_are_begun_again(world: World, proxied: Proxy) -> None:
    """As after a firewall that forgot the connections: nothing comes, and no end either."""
    world.constants["bitagent_operator.watches.kopf_watch:SILENT_SECONDS"] = 3
    settle(world, proxied)
    proxied.silent = True
    world.model("m-500")
    world.round("r")
    world.pause(1)
    assert "startedAt" not in world.get("evalrounds", "r").get("status", {}), "it was not seen"
    proxied.silent = False  # for new watches; what the old ones lost they never bring
    world.until_condition("evalrounds", "r", "Complete", seconds=60)
    assert set(world.results("r")) == {"m-100", "m-500"}
