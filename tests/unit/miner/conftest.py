"""Subnets as plain data, hotkey files, and an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bitagent_local.chain import keys
from bitagent_miner.chain import Neuron, Subnet


@pytest.fixture(scope="session")
def subnet() -> Callable[..., Subnet]:
    """Make a subnet from neurons; each is hotkey, stake and permit."""

    def make(*neurons: tuple[str, float, bool]) -> Subnet:
        found = {
            hotkey: Neuron(uid=uid, hotkey=hotkey, stake=stake, permit=permit, axon=None)
            for uid, (hotkey, stake, permit) in enumerate(neurons)
        }
        return Subnet(20, 100, found)

    return make


@pytest.fixture
def hotkey_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write the hotkey of a development URI as the wallet tool does."""

    def make(uri: str) -> Path:
        path = tmp_path / uri.strip("/")
        path.write_bytes(keys.keyfile(uri))
        return path

    return make


@dataclass
class FakeModel:
    """An endpoint that answers every chat with a text, and keeps what it was asked."""

    url: str = ""
    answer: Any = '[weather(city="Lisbon")]'
    status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def openai() -> Callable[..., AbstractAsyncContextManager[FakeModel]]:
    """Serve a FakeModel."""

    @asynccontextmanager
    async def served(**changes: Any) -> AsyncIterator[FakeModel]:
        model = FakeModel(**changes)

        async def chat(request: web.Request) -> web.StreamResponse:
            model.requests.append(await request.json())
            model.keys.append(request.headers.get("Authorization"))
            if callable(model.answer):
                return await model.answer(request)  # type: ignore[no-any-return]
            message = model.answer if isinstance(model.answer, dict) else {"role": "assistant", "content": model.answer}
            usage = {"prompt_tokens": 7, "completion_tokens": 3}
            body = json.dumps({"choices": [{"message": message}], "usage": usage})
            return web.Response(text=body, status=model.status, content_type="application/json")

        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", chat)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        try:
            yield model
        finally:
            await runner.cleanup()

    return served
