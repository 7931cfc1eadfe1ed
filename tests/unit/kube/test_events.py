"""Events that are posted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bitagent_kube import events as module
from bitagent_kube.errors import not_sent
from bitagent_kube.events import NOTE_BYTES, EventRecorder, ObjectEvents, clip_bytes
from bitagent_kube.objects import EventMessage, ObjectReference

if TYPE_CHECKING:
    from tests.unit.kube.conftest import Server

ROUND = ObjectReference("bitagent.io/v1alpha1", "EvalRound", "ns", "r", "u")


async def test_the_same_event_has_the_same_name(server: Server) -> None:
    server.answers = [server.say(201, {}), server.refuse(409, "AlreadyExists"), server.refuse(403, "Forbidden")]
    recorder = EventRecorder(server.client, instance="pod-1")
    message = EventMessage("RoundFailed", "x" * 5000, warning=True)
    for _ in range(3):  # posted, posted again after a kill, refused: never an exception
        await recorder.post(ROUND, [message], occasion="1")
    bodies = [body for _, _, body in server.requests]
    assert len({b["metadata"]["name"] for b in bodies}) == 1
    assert (bodies[0]["type"], bodies[0]["reason"], len(bodies[0]["note"]) <= 1024) == ("Warning", "RoundFailed", True)


async def test_what_an_event_says(server: Server) -> None:
    server.answers = [server.say(201, {})]
    await EventRecorder(server.client, instance="pod-1").post(ROUND, [EventMessage("RoundStarted", "go")], occasion="1")
    method, path, body = server.requests[0]
    assert (method, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/ns/events")
    # The name is part of the contract: an operator that is replaced by another version must not post everything again.
    assert body["metadata"] == {"name": "r.a2faf18eb88d7945", "namespace": "ns"}
    assert body["regarding"] == ROUND.to_wire()
    assert (body["reportingController"], body["reportingInstance"]) == ("bitagent.io/some-controller", "pod-1")
    assert (body["type"], body["action"], body["note"]) == ("Normal", "Reconcile", "go")


async def test_another_occasion_is_another_event(server: Server) -> None:
    server.answers = [server.say(201, {})]
    events = ObjectEvents(EventRecorder(server.client, instance="pod-1"), ROUND)
    for occasion in ("1", "2", "2"):
        await events.warning("WeightsFailed", "no permit", occasion=occasion)
    await events.normal("WeightsSet", "done")
    names = [body["metadata"]["name"] for _, _, body in server.requests]
    assert (names[0] != names[1], names[1] == names[2]) == (True, True)
    assert [body["type"] for _, _, body in server.requests] == ["Warning"] * 3 + ["Normal"]


async def test_events_are_logged_even_if_they_cannot_be_posted(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [server.refuse(403, "Forbidden")]
    await EventRecorder(server.client, instance="pod-1").post(ROUND, [EventMessage("RoundFailed", "why", warning=True)])
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "EvalRound r: RoundFailed: why" in caplog.text


async def test_a_server_that_hangs_does_not_hold_up_the_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging:
        field_manager = "some-controller"

        async def create(self, _event: object) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "POST_SECONDS", 0.05)
    recorder = EventRecorder(Hanging(), instance="pod-1")  # type: ignore[arg-type]
    await asyncio.wait_for(recorder.post(ROUND, [EventMessage("RoundStarted", str(n)) for n in range(20)]), 60)
    assert "not all events on r could be posted" in caplog.text


class Poster:
    """An API server that takes Events when `open` is set."""

    field_manager = "some-controller"

    def __init__(self) -> None:
        self.open, self.all, self.posted = asyncio.Event(), asyncio.Event(), list[str]()

    async def create(self, event: dict[str, str]) -> None:
        await self.open.wait()
        self.posted.append(event["note"])
        if len(self.posted) == 20:
            self.all.set()


def notes(count: int, *, first: int = 0) -> list[EventMessage]:
    return [EventMessage("RoundStarted", str(n)) for n in range(first, first + count)]


async def test_what_is_submitted_is_posted_in_the_background() -> None:
    poster = Poster()
    recorder = EventRecorder(poster, instance="pod-1")  # type: ignore[arg-type]
    running = asyncio.create_task(recorder.run())
    recorder.submit(ROUND, notes(20))
    assert (poster.posted, len(recorder)) == ([], 20), "nothing was waited for"
    poster.open.set()
    await asyncio.wait_for(poster.all.wait(), 60)
    running.cancel()


async def test_what_is_too_much_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_LENGTH", 5)
    dropped, poster = list[int](), Poster()
    recorder = EventRecorder(poster, instance="pod-1", dropped=lambda: dropped.append(1))  # type: ignore[arg-type]
    recorder.submit(ROUND, notes(8))
    poster.open.set()
    await recorder.drain(seconds=60)
    assert (sorted(poster.posted), len(dropped)) == (["0", "1", "2", "3", "4"], 3)


async def test_the_end_posts_what_was_being_posted_and_what_waits() -> None:
    poster = Poster()
    recorder = EventRecorder(poster, instance="pod-1")  # type: ignore[arg-type]
    running = asyncio.create_task(recorder.run())
    recorder.submit(ROUND, notes(20))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    poster.open.set()
    await recorder.drain(seconds=60)
    assert sorted(poster.posted, key=int) == [str(n) for n in range(20)]


async def test_the_end_does_not_wait_for_ever() -> None:
    dropped, poster = list[int](), Poster()
    recorder = EventRecorder(poster, instance="pod-1", dropped=lambda: dropped.append(1))  # type: ignore[arg-type]
    recorder.submit(ROUND, notes(20))
    await asyncio.wait_for(recorder.drain(seconds=0.05), 60)
    assert (poster.posted, len(recorder), len(dropped)) == ([], 0, 20)


async def test_an_event_that_may_not_be_sent_now_is_sent_later() -> None:
    """As while the Lease of this process is renewed late."""

    class Withheld(Poster):
        left = 3

        async def create(self, event: dict[str, str]) -> None:
            await asyncio.sleep(0)
            if self.left:
                self.left -= 1
                raise not_sent("POST")
            await super().create(event)

    dropped, poster = list[int](), Withheld()
    poster.open.set()
    recorder = EventRecorder(poster, instance="pod-1", dropped=lambda: dropped.append(1))  # type: ignore[arg-type]
    running = asyncio.create_task(recorder.run())
    recorder.submit(ROUND, notes(20))
    await asyncio.wait_for(poster.all.wait(), 60)
    running.cancel()
    assert (sorted(poster.posted, key=int), dropped) == ([str(n) for n in range(20)], [])


async def test_an_event_that_is_refused_counts_as_dropped(server: Server) -> None:
    server.answers = [server.refuse(403, "Forbidden"), server.refuse(409, "AlreadyExists")]
    dropped = list[int]()
    recorder = EventRecorder(server.client, instance="pod-1", dropped=lambda: dropped.append(1))
    for _ in range(2):
        recorder.submit(ROUND, notes(1))
        await recorder.drain(seconds=60)
    assert (len(server.requests), len(dropped)) == (2, 1)


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "🙂" * 5000])
def test_a_text_is_cut_to_bytes(text: str) -> None:
    cut = clip_bytes(text, NOTE_BYTES)
    assert NOTE_BYTES - 6 <= len(cut.encode()) <= NOTE_BYTES
    assert cut[-1] == "…"
    assert clip_bytes("short", NOTE_BYTES) == "short"


def test_a_note_has_no_control_characters() -> None:
    assert clip_bytes("a\x1b[2J\udc80", 99) == "a\\x1b[2J\\udc80"
