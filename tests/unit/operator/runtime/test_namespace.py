"""One namespace: works that end together, and what remains of one that is run again."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from kubernetes.aio.client.configuration import Configuration

from bitagent_kube.clock import ServerClock
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.runtime.namespace import operate, until_one_ends
from bitagent_operator.watches.watch import list_health

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


class Work:
    """Runs until cancelled, or fails when `fail` is set; ends after `seconds`."""

    def __init__(self, ends: list[Work], *, seconds: float = 0.0) -> None:
        self.fail, self._ends, self._seconds = asyncio.Event(), ends, seconds

    async def run(self) -> None:
        try:
            await self.fail.wait()
            raise OSError("a port is taken")
        finally:
            await asyncio.sleep(self._seconds)
            self._ends.append(self)


async def test_the_first_ends_before_the_others() -> None:
    ends: list[Work] = []
    first, second = Work(ends, seconds=0.05), Work(ends)
    running = asyncio.create_task(until_one_ends(first.run(), second.run()))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert ends == [first, second]


async def test_what_one_raises_is_raised_after_all_have_ended() -> None:
    ends: list[Work] = []
    good, bad = Work(ends), Work(ends)
    running = asyncio.create_task(until_one_ends(good.run(), bad.run()))
    bad.fail.set()
    with pytest.raises(OSError, match="a port is taken"):
        await running
    assert set(ends) == {good, bad}


async def test_a_namespace_that_is_run_again_exports_its_objects_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prometheus refuses a page on which a sample is twice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an API server that takes requests and answers none
        configuration = Configuration(host=f"http://127.0.0.1:{silent.getsockname()[1]}")

        async def load() -> Configuration:
            return configuration

        monkeypatch.setattr("bitagent_kube.client.load_configuration", load)
        metrics, health = Metrics(), list_health(300)

        def exported() -> int:
            return [family.name for family in metrics.registry.collect()].count("bitagent_models")

        for _ in range(2):
            work = operate(make.config(), home="n", pod="p", metrics=metrics, health=health, clock=ServerClock())
            running = asyncio.create_task(work)
            async with asyncio.timeout(30):
                while not exported():  # noqa: ASYNC110 - nothing says when
                    await asyncio.sleep(0.01)
            assert exported() == 1
            running.cancel()
            await asyncio.wait([running])
            assert exported() == 0
