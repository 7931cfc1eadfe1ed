"""Asking pods how far they are: a hostile pod is ignored, never believed, and holds nothing up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bitagent_crds.progress import PROGRESS_BYTES, EvaluationPhase
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.observed.workloads import PodObject
from bitagent_operator.reconcilers.progress import (
    MOST_TOKENS_PER_SECOND,
    REQUESTS_IN_FLIGHT,
    NotTheDocument,
    Outcome,
    ProgressReader,
    parsed,
    read,
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
ENOUGH, SHORT = 60.0, 0.3
"""Seconds for an answer that comes, on a busy machine too, and for one that does not."""
GOOD = HEAD + b'{"phase":"Generating","done":3,"total":9,"tokens":70,"tokensPerSecond":3.5,"idleSeconds":20}'


def says(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


async def for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"{" * 65536)
        await writer.drain()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in GOOD:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@asynccontextmanager
async def pod_that(serve: Serve, *, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server in place of a pod; yields its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, address, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


HOSTILE = [
    pytest.param(for_ever, NotTheDocument, id="a body without an end"),
    pytest.param(drips, TimeoutError, id="a slow drip"),
    pytest.param(silent, TimeoutError, id="silence"),
    pytest.param(resets, (OSError, NotTheDocument), id="a connection that breaks"),
    pytest.param(says(b""), NotTheDocument, id="nothing"),
    pytest.param(says(b"\x16\x03\x01\x00" * 9), NotTheDocument, id="not HTTP"),
    pytest.param(says(HEAD + b"x" * PROGRESS_BYTES), NotTheDocument, id="too long"),
    pytest.param(says(HEAD + b"[" * 3000), NotTheDocument, id="nested deeply"),
    pytest.param(says(HEAD + b'{"done":'), NotTheDocument, id="half a document"),
    pytest.param(says(HEAD + b"[]"), NotTheDocument, id="another kind of document"),
    pytest.param(says(HEAD + b'{"done":-1}'), NotTheDocument, id="a negative number"),
    pytest.param(says(HEAD + b'{"done":1e400}'), NotTheDocument, id="a number without an end"),
    pytest.param(says(HEAD + b'{"idleSeconds":NaN}'), NotTheDocument, id="no number"),
    pytest.param(says(HEAD + b'{"key":"<script>"}'), NotTheDocument, id="a key that is none"),
    pytest.param(says(HEAD + b'{"key":"' + b"k" * 99 + b'"}'), NotTheDocument, id="a key that is too long"),
    pytest.param(says(HEAD + b'\xff\xfe{"done":1}'), NotTheDocument, id="not UTF-8"),
    pytest.param(says(b"HTTP/1.1 500 no\r\n\r\n{}"), NotTheDocument, id="an error"),
    pytest.param(
        says(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"), NotTheDocument, id="a redirect"
    ),
    pytest.param(
        says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08"), NotTheDocument, id="compression"
    ),
]


@pytest.mark.parametrize(("serve", "error"), HOSTILE)
def test_what_is_not_the_document_is_refused(serve: Serve, error: Any) -> None:
    async def main() -> None:
        async with pod_that(serve) as port:
            with pytest.raises(error):
                await read("127.0.0.1", port, seconds=SHORT if error is TimeoutError else ENOUGH)

    asyncio.run(main())


def test_a_port_that_is_closed_is_no_connection() -> None:
    async def main() -> None:
        async with pod_that(silent) as port:
            pass
        with pytest.raises(OSError) as error:
            await read("127.0.0.1", port, seconds=ENOUGH)
        assert not isinstance(error.value, TimeoutError)

    asyncio.run(main())


def test_the_document() -> None:
    found = parsed(GOOD)
    assert (found.phase, found.done, found.total) == (EvaluationPhase.GENERATING, 3, 9)


@pytest.mark.parametrize(
    ("body", "phase"),
    [
        pytest.param(
            b'{"phase":"Dreaming","later":{"a":1},"done":2}', None, id="members and a phase of a later version"
        ),
        pytest.param(b'{"done":2}', None, id="without a phase"),
    ],
)
def test_what_a_later_version_adds_is_ignored(body: bytes, phase: EvaluationPhase | None) -> None:
    found = parsed(HEAD + body)
    assert (found.phase, found.done, found.model_dump().get("later")) == (phase, 2, None)


class World:
    """A reader of the pods of a test, and what it has enqueued."""

    def __init__(self, make: Any, *pods: PodObject) -> None:
        self.pods, self.time = list(pods), make.at(1000)
        self.enqueued: list[Key] = []
        self.outcomes: list[Outcome] = []
        self.generated: list[tuple[str, int]] = []
        self.reader = ProgressReader(
            pods=lambda: self.pods,
            now=self.now,
            enqueue=self.enqueued.extend,
            count=self.outcomes.append,
            generated=lambda name, tokens: self.generated.append((name, tokens)),
            seconds=ENOUGH,
        )

    def now(self) -> datetime:
        return self.time

    async def polled(self) -> tuple[list[Key], list[Outcome]]:
        """Ask once; return what is news, and how the requests ended."""
        self.enqueued.clear()
        self.outcomes.clear()
        await self.reader.poll()
        return list(self.enqueued), list(self.outcomes)


def pod_at(make: Any, port: int, *, key: str = "k1", **more: Any) -> PodObject:
    pod: PodObject = make.serving_pod(make.evaluation(key), port=port, node="n1", **more)
    return pod


def test_an_answer_is_kept_and_only_news_is_enqueued(make: Any) -> None:
    answers = [GOOD, GOOD, GOOD.replace(b'"done":3', b'"done":4')]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(answers.pop(0))(reader, writer)

    async def main() -> list[list[Key]]:
        async with pod_that(serve) as port:
            world = World(make, pod_at(make, port))
            news = [(await world.polled())[0] for _ in range(3)]
            (found,) = world.reader.of(world.pods).values()
            assert (found.document.done, found.advanced_at, found.mute) == (4, make.at(980), False)
            return news

    key = Key(Kind.ROUND, "r")
    assert asyncio.run(main()) == [[key], [], [key]]


@pytest.mark.parametrize(
    ("said", "counted", "began"),
    [
        pytest.param([(70, ""), (70, ""), (90, "")], [70, 20], 0, id="what is new"),
        pytest.param([(70, ""), (5, "")], [70, 5], 0, id="its container was started again"),
        pytest.param([(70, "a"), (80, "b")], [70, 80], 0, id="the next evaluation of a pack"),
        pytest.param([(70, ""), (90, "")], [20], 999, id="another process has counted what was before"),
        pytest.param([(0, ""), (2**53, "")], [60 * MOST_TOKENS_PER_SECOND], 0, id="more than can be"),
    ],
)
def test_tokens_are_counted_once(make: Any, said: list[tuple[int, str]], counted: list[int], began: float) -> None:
    answers = [{"tokens": tokens} | ({"key": key} if key else {}) for tokens, key in said]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(HEAD + json.dumps(answers.pop(0)).encode())(reader, writer)

    async def main() -> list[tuple[str, int]]:
        async with pod_that(serve) as port:
            world = World(make, pod_at(make, port))
            world.reader._began = make.at(began)
            for _ in said:
                await world.polled()
                world.time += timedelta(seconds=60)
            return world.generated

    assert asyncio.run(main()) == [("r", tokens) for tokens in counted]


def test_progress_is_not_before_the_start_of_the_container(make: Any) -> None:
    async def main() -> datetime:
        async with pod_that(says(HEAD + b'{"idleSeconds":900000000}')) as port:
            world = World(make, pod_at(make, port, at=700))
            await world.polled()
            (found,) = world.reader.of(world.pods).values()
            return found.advanced_at

    assert asyncio.run(main()) == make.at(700)


@pytest.mark.parametrize(
    ("phase", "asked"),
    [
        pytest.param("Pending", [Outcome.ANSWERED], id="another container cannot start"),
        pytest.param("Unknown", [], id="its node is lost"),
    ],
)
def test_whose_container_runs_is_asked(make: Any, phase: str, asked: list[Outcome]) -> None:
    async def main() -> list[Outcome]:
        async with pod_that(says(GOOD)) as port:
            world = World(make, replace(pod_at(make, port), phase=phase))
            return (await world.polled())[1]

    assert asyncio.run(main()) == asked


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"code": 0}, id="has ended"),
        pytest.param({"deleted": 30}, id="is being deleted"),
        pytest.param({"waiting": ("ContainerCreating", "")}, id="has not started"),
        pytest.param({"address": ""}, id="has no address"),
        pytest.param({"port": None}, id="was made by an operator that names no port"),
    ],
)
def test_a_pod_that_does_not_run_or_serve_is_not_asked(make: Any, state: dict[str, Any]) -> None:
    world = World(make, make.serving_pod(make.evaluation("k1"), **{"port": 1, **state}))
    assert asyncio.run(world.polled()) == ([], [])


@pytest.mark.parametrize(
    ("then", "outcome", "mute"),
    [
        pytest.param(silent, Outcome.MUTE, True, id="takes connections and does not answer"),
        pytest.param(says(b"garbage"), Outcome.INVALID, False, id="answers something else"),
        pytest.param(resets, Outcome.UNREACHABLE, False, id="breaks connections"),
    ],
)
def test_a_pod_that_ceases_to_answer(make: Any, then: Serve, outcome: Outcome, mute: bool) -> None:
    serves = [says(GOOD), then]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serves.pop(0)(reader, writer)

    async def main() -> None:
        async with pod_that(serve) as port:
            world = World(make, pod_at(make, port))
            await world.polled()
            world.time += timedelta(seconds=60)
            world.reader.seconds = SHORT if then is silent else ENOUGH
            news, outcomes = await world.polled()
            (found,) = world.reader.of(world.pods).values()
            if outcome is not Outcome.UNREACHABLE:  # a reset may also look like an empty answer
                assert outcomes == [outcome]
            assert (found.mute, found.document.done, bool(news)) == (mute, 3, mute)
            assert found.read_at == (make.at(1060) if mute else make.at(1000))

    asyncio.run(main())


def test_a_pod_that_never_answered_is_not_known(make: Any) -> None:
    async def main() -> None:
        async with pod_that(silent) as port:
            world = World(make, pod_at(make, port))
            world.reader.seconds = SHORT
            assert await world.polled() == ([], [Outcome.MUTE])
            assert world.reader.of(world.pods) == {}

    asyncio.run(main())


def test_a_pod_that_has_gone_is_forgotten(make: Any) -> None:
    async def main() -> None:
        async with pod_that(says(GOOD)) as port:
            world = World(make, pod_at(make, port))
            await world.polled()
            pods, world.pods = world.pods, []
            await world.polled()
            assert world.reader.of(pods) == {}

    asyncio.run(main())


def test_pods_that_hang_do_not_hold_up_the_others(make: Any) -> None:
    answered = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answered.wait()

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(GOOD)(reader, writer)
        answered.set()

    async def main() -> list[Outcome]:
        async with pod_that(hangs) as bad, pod_that(answers) as good:
            hanging = [pod_at(make, bad, key=f"b{i}", name=f"b{i}") for i in range(REQUESTS_IN_FLIGHT - 1)]
            world = World(make, *hanging, pod_at(make, good))
            _, outcomes = await world.polled()
            assert [found.document.done for found in world.reader.of(world.pods).values()] == [3]
            return outcomes

    assert Outcome.MUTE not in asyncio.run(main()), "those that hang until another has answered"


def test_a_bug_in_a_hint_does_not_stop_the_operator(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    asked = asyncio.Event()

    def pods() -> list[PodObject]:
        if asked.is_set():
            return []
        asked.set()
        raise RuntimeError("a bug")

    async def main() -> None:
        reader = ProgressReader(pods=pods, now=lambda: make.at(0), enqueue=lambda keys: list(keys).clear(), every=0.01)
        running = asyncio.create_task(reader.run())
        await asked.wait()
        await asyncio.sleep(0.05)
        assert not running.done()
        running.cancel()

    asyncio.run(main())
    assert "could not be read" in caplog.text
