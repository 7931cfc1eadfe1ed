"""The namespaces that one process works in: what fails in one of them stops no other, and is begun again.

A namespace contains its failures itself: objects that cannot be read, requests that are refused, watches that end.
What is left is unexpected, such as a bug that one object brings to light. As long as another namespace works, the one
that ended is begun again after a pause. When none works the process ends, and Kubernetes restarts it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_kube import logging as kube_logging
from bitagent_kube.health import Health
from bitagent_kube.retry import Backoff

FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0
"""Seconds from an end to the next begin: after the first one, and at most."""
STEADY_SECONDS = 300.0
"""A namespace that has worked for so long has the shortest pause again."""

_ENDED = "part"
"""Key of this problem among those that /readyz shows."""

log = logging.getLogger(__name__)


class EndedEarly(Exception):
    """Raised in place of an error when a namespace's work has ended without one."""


@dataclass(frozen=True)
class Part:
    """The work in one namespace."""

    namespace: str
    run: Callable[[], Coroutine[Any, Any, None]]
    """Works until cancelled; can be called again after its end."""
    health: Health
    count_restart: Callable[[], None]


async def together(parts: Sequence[Part]) -> None:
    """Run all parts until cancelled, then end them at the same time.

    A part that ends by itself is reported and begun again, with longer and longer pauses. When no other works, all are
    ended, and what the last one has raised is raised.
    """
    working = {part.namespace for part in parts}
    tasks = [asyncio.create_task(_run_again(part, working)) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await asyncio.gather(*map(end, tasks))
    raise_first(tasks)


async def _run_again(part: Part, working: set[str]) -> None:
    """Run a part, and again whenever it ends; raise what it raises while no other is in `working`."""
    backoff, clock = Backoff(first=FIRST_DELAY, longest=LONGEST_DELAY), asyncio.get_running_loop().time
    while True:
        began = clock()
        error = await _end_of(part)
        working.discard(part.namespace)
        if not working:
            raise error
        if clock() - began >= STEADY_SECONDS:
            backoff.reset()
        delay = backoff.next()
        _report(part, error, delay=delay)
        await asyncio.sleep(delay)
        part.health.problems.pop(_ENDED, None)
        part.count_restart()
        working.add(part.namespace)


async def _end_of(part: Part) -> Exception:
    """Run a part until it ends by itself; return why."""
    try:
        await part.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it concerns one namespace: reported, and begun again
        return error
    return EndedEarly(f"the work in namespace {part.namespace} ended without an error")


def _report(part: Part, error: Exception, *, delay: float) -> None:
    """Log the end of a part, and show it at /readyz until the part begins again; its other problems ended with it."""
    text = f"the work ended unexpectedly, and begins again in {delay:.1f} s: {type(error).__name__}: {error}"
    part.health.ready = False
    part.health.problems.clear()
    part.health.problems[_ENDED] = text
    with kube_logging.fields(namespace=part.namespace):
        log.error("namespace %s: %s", part.namespace, text, exc_info=error)


async def end(task: asyncio.Future[None]) -> None:
    """Cancel a task and wait for its end; what it raised stays in it."""
    task.cancel()
    await asyncio.wait([task])


def raise_first(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what the first of the tasks has raised that was not cancelled."""
    for task in tasks:
        if not task.cancelled():
            task.result()
