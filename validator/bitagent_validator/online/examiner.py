"""The client of the examiner's socket: one request at a time, a new connection after any trouble.

What the examiner answers is bounded and checked (`bitagent_crds.examiner`); it is another process, of another image.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bitagent_crds.examiner import (
    EXAMINER_SOCKET,
    REPLY_BYTES,
    REPLY_SECONDS,
    ExaminerReason,
    ExaminerReply,
    ExaminerRequest,
    ExaminerTask,
    ExaminerVerdict,
    MessageError,
    Pool,
    ScoreRequest,
    TaskRequest,
    TaskSetFiles,
    Timing,
    bounded_answer,
)

SOCKET = Path(EXAMINER_SOCKET)
CONNECT_SECONDS = 5.0


class ExaminerLost(Exception):
    """The examiner gave no reply; the message says why. Whether it has read the request is not known."""


class ExaminerRefused(Exception):
    """The examiner gave neither task nor verdict, for a reason of its own."""

    def __init__(self, reason: ExaminerReason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class Examiner:
    """One connection to the examiner, opened when it is needed. Every method raises ExaminerLost or ExaminerRefused."""

    def __init__(self, socket: Path = SOCKET, *, reply_seconds: float = REPLY_SECONDS) -> None:
        self._socket = socket
        self._reply_seconds = reply_seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def task(
        self, pool: Pool, *, seed: str, number: int | None = None, running: Sequence[TaskSetFiles] = ()
    ) -> ExaminerTask:
        """Return the task of a pool that the number of a step draws, or else a seed: none of these task sets."""
        request = TaskRequest(pool=pool, seed=seed, number=number, running=list(running))
        reply = await self._ask(ExaminerRequest(task=request))
        if reply.task is None:
            raise ExaminerLost("the examiner answered a request for a task with something else")
        return reply.task

    async def score(self, pool: Pool, *, task: str, answer: str, timing: Timing | None = None) -> ExaminerVerdict:
        """Return the verdict on one answer to a task of a pool, by its id."""
        request = ScoreRequest(pool=pool, task_id=task, answer=bounded_answer(answer), timing=timing)
        reply = await self._ask(ExaminerRequest(score=request))
        if reply.verdict is None:
            raise ExaminerLost("the examiner answered a request for a verdict with something else")
        return reply.verdict

    async def close(self) -> None:
        """Close the connection, if there is one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()

    async def _ask(self, request: ExaminerRequest) -> ExaminerReply:
        try:
            reply = await self._exchange(request.line())
        except BaseException:
            # A later reply would be taken for that of the next request.
            await self.close()
            raise
        if reply.error is not None:
            raise ExaminerRefused(reply.error.reason, reply.error.message)
        return reply

    async def _exchange(self, line: bytes) -> ExaminerReply:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await self._connected()
            async with asyncio.timeout(self._reply_seconds):
                writer.write(line)
                await writer.drain()
                return ExaminerReply.read(await reader.readline(), limit=REPLY_BYTES)
        except TimeoutError:
            raise ExaminerLost(f"the examiner gave no reply within {self._reply_seconds:g} s") from None
        except OSError as error:
            raise ExaminerLost(f"{self._socket}: {error.strerror or type(error).__name__}") from None
        except MessageError as error:
            raise ExaminerLost(f"the examiner's reply cannot be read: {error}") from None
        except ValueError:
            raise ExaminerLost(f"the examiner's reply has more than {REPLY_BYTES} bytes") from None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._socket, limit=REPLY_BYTES)
        return self._streams
