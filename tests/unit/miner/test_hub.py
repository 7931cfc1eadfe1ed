from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bitagent_miner.hub import HubError, resolve
from bitagent_miner.submissions import Named

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Hub = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def hub() -> Hub:
    @asynccontextmanager
    async def served(body: Any = None, status: int = 200) -> AsyncIterator[str]:
        async def revision(request: web.Request) -> web.Response:
            if request.match_info["revision"] not in ("main", "refs/pr/1", COMMIT):
                return web.json_response({"error": "not found"}, status=404)
            return web.json_response({"sha": COMMIT} if body is None else body, status=status)

        app = web.Application()
        app.add_routes([web.get("/api/models/acme/m/revision/{revision}", revision)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    return served


@pytest.mark.parametrize("revision", ["main", "refs/pr/1", COMMIT])
async def test_a_revision_becomes_a_commit(hub: Hub, revision: str) -> None:
    async with hub() as url:
        assert await resolve(Named("acme/m", revision), hub=url) == Named("acme/m", COMMIT)


@pytest.mark.parametrize(
    ("model", "served"),
    [
        pytest.param(Named("acme/m", "none"), {}, id="no such revision"),
        pytest.param(Named("acme/other"), {}, id="no such repository"),
        pytest.param(Named("acme/m"), {"status": 503}, id="down"),
        pytest.param(Named("acme/m"), {"body": {"sha": "main"}}, id="no commit"),
        pytest.param(Named("acme/m"), {"body": []}, id="no object"),
        pytest.param(Named("acme/m", COMMIT), {"body": {"sha": COMMIT[::-1]}}, id="another commit"),
    ],
)
async def test_what_is_no_commit(hub: Hub, model: Named, served: dict[str, Any]) -> None:
    async with hub(**served) as url:
        with pytest.raises(HubError):
            await resolve(model, hub=url)


async def test_a_hub_that_is_not_there(unused_tcp_port: int) -> None:
    with pytest.raises(HubError):
        await resolve(Named("acme/m"), hub=f"http://127.0.0.1:{unused_tcp_port}")
