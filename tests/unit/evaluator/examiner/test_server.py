"""Lines on the socket: whatever a peer sends, it gets a reply or loses its connection, and the others are served."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.evaluator.examiner.conftest import ask, right_answer, score

from bitagent_crds.examiner import (
    REPLY_BYTES,
    REQUEST_BYTES,
    ExaminerReason,
    ExaminerReply,
    ExaminerRequest,
    TaskRequest,
)
from bitagent_evaluator.examiner import server
from bitagent_evaluator.examiner.questions import question
from bitagent_evaluator.examiner.server import Examiner, listen, serve
from bitagent_evaluator.examiner.verdicts import Scorers

if TYPE_CHECKING:
    from tests.unit.evaluator.examiner.conftest import Volume


@pytest.fixture
def examiner(volume: Volume) -> Examiner:
    return Examiner(volume.root, Scorers())


@asynccontextmanager
async def serving(examiner: Examiner, path: Path) -> AsyncIterator[Path]:
    stop = asyncio.Event()
    task = asyncio.create_task(serve(listen(path), examiner, stop))
    try:
        yield path
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def sent(path: Path, *lines: bytes) -> list[ExaminerReply]:
    reader, writer = await asyncio.open_unix_connection(path, limit=REPLY_BYTES)
    replies = []
    for line in lines:
        writer.write(line)
        replies.append(ExaminerReply.read(await reader.readuntil(b"\n"), limit=REPLY_BYTES))
    writer.close()
    return replies


def reason(reply: ExaminerReply) -> ExaminerReason | None:
    return reply.error.reason if reply.error is not None else None


def test_a_task_for_a_seed(examiner: Examiner, volume: Volume) -> None:
    reply = ask(examiner, volume.pool, "x")
    assert reply.task is not None
    assert reply == ask(examiner, volume.pool, "x")
    assert reply.task == question(volume.tasks[reply.task.id])


def test_a_pool_that_is_not_there(examiner: Examiner, volume: Volume) -> None:
    gone = volume.pool.model_copy(update={"round_uid": "gone", "digest": "sha256:" + "0" * 64})
    assert reason(ask(examiner, gone, "x")) is ExaminerReason.POOL_MISSING
    assert reason(score(examiner, gone, "x", "y")) is ExaminerReason.POOL_MISSING


POOL = {"round_uid": "u", "digest": "sha256:" + "0" * 64}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"task":{},"score":{}}', id="two requests"),
        pytest.param(json.dumps({"task": {"pool": POOL | {"round_uid": "../x"}, "seed": "1"}}).encode(), id="a path"),
        pytest.param(json.dumps({"task": {"pool": POOL, "seed": ""}}).encode(), id="no seed"),
        pytest.param(
            json.dumps({"score": {"pool": POOL, "task_id": "t", "answer": "x" * 200_000}}).encode(), id="uncut answer"
        ),
        pytest.param(b'{"score":{"answer":"\\ud800"}}', id="lone surrogate"),
    ],
)
def test_what_is_no_request(examiner: Examiner, content: bytes) -> None:
    assert reason(examiner.reply(content + b"\n")) is ExaminerReason.REQUEST_INVALID


def test_members_of_a_later_version_are_ignored(examiner: Examiner, volume: Volume) -> None:
    request = json.loads(ExaminerRequest(task=TaskRequest(pool=volume.pool, seed="1")).line())
    request["task"]["later"] = 1
    request["task"]["pool"]["later"] = 1
    assert examiner.reply(json.dumps(request).encode() + b"\n").task is not None


def test_a_fault_of_the_examiner_is_a_reply(
    examiner: Examiner, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(server, "question", fails)
    reply = ask(examiner, volume.pool, "x")
    assert reason(reply) is ExaminerReason.INTERNAL
    assert b"secret" not in reply.line()


async def test_several_requests_on_one_connection(examiner: Examiner, volume: Volume, tmp_path: Path) -> None:
    line = ExaminerRequest(task=TaskRequest(pool=volume.pool, seed="x")).line()
    async with serving(examiner, tmp_path / "s") as path:
        first, bad, second = await sent(path, line, b"{}\n", line)
    assert first == second
    assert reason(bad) is ExaminerReason.REQUEST_INVALID


async def test_a_line_without_end_ends_its_connection_alone(examiner: Examiner, volume: Volume, tmp_path: Path) -> None:
    async with serving(examiner, tmp_path / "s") as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * (2 * REQUEST_BYTES + 10))
        reply = ExaminerReply.read(await reader.readuntil(b"\n"), limit=REPLY_BYTES)
        assert reason(reply) is ExaminerReason.REQUEST_INVALID
        with suppress(ConnectionResetError):  # as the system does where some of the line was not read
            assert await reader.read() == b"", "closed"
        writer.close()
        (good,) = await sent(path, ExaminerRequest(task=TaskRequest(pool=volume.pool, seed="x")).line())
        assert good.task is not None


async def test_too_many_connections_are_refused(
    examiner: Examiner, volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    line = ExaminerRequest(task=TaskRequest(pool=volume.pool, seed="x")).line()
    async with serving(examiner, tmp_path / "s") as path:
        held = [await asyncio.open_unix_connection(path) for _ in range(2)]
        for reader, writer in held:
            writer.write(line)
            await reader.readuntil(b"\n")
        assert reason((await sent(path, line))[0]) is ExaminerReason.BUSY
        for _, writer in held:
            writer.close()
            await writer.wait_closed()


async def test_a_silent_connection_is_closed(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.05)
    async with serving(examiner, tmp_path / "s") as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"task"')
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_an_answer_that_takes_long_does_not_hold_up_the_end(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def waits(line: bytes) -> ExaminerReply:
        begun.set()
        over.wait(30)
        return server.refusal(ExaminerReason.BUSY, "")

    monkeypatch.setattr(examiner, "reply", waits)
    async with serving(examiner, tmp_path / "s") as path:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"{}\n")
        await asyncio.to_thread(begun.wait, 60)
    assert not over.is_set(), "served until then"
    over.set()
    writer.close()


async def test_a_socket_that_an_earlier_process_has_left_is_replaced(examiner: Examiner, tmp_path: Path) -> None:
    listen(tmp_path / "s").close()
    async with serving(examiner, tmp_path / "s") as path:
        assert path.stat().st_mode & 0o777 == 0o660
        assert reason((await sent(path, b"{}\n"))[0]) is ExaminerReason.REQUEST_INVALID


def test_a_score_over_all_layers(volume: Volume) -> None:
    with Scorers() as scorers:
        task = volume.first()
        reply = score(Examiner(volume.root, scorers), volume.pool, task.id, right_answer(task))
    assert reply.verdict is not None
    assert reply.verdict.score == 1.0
