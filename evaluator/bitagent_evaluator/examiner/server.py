"""The examiner's server: requests and replies of one line each, over a Unix socket.

A connection's requests are answered one after the other, several connections beside each other. Nothing that a peer
sends ends the server: a line that is too long or too late ends its connection, any other fault is a reply.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bitagent_crds.examiner import (
    REQUEST_BYTES,
    ExaminerError,
    ExaminerReason,
    ExaminerReply,
    ExaminerRequest,
    MessageError,
    ScoreRequest,
    TaskRequest,
)
from bitagent_evaluator.examiner.pools import Pools, RequestRefused
from bitagent_evaluator.examiner.questions import question
from bitagent_evaluator.examiner.verdicts import Scorers, reap_adopted

CONNECTIONS = 16
"""Connections at once; a validator needs one."""
IDLE_SECONDS = 600.0
"""Time after which a connection without a whole request is closed."""
WRITE_SECONDS = 30.0
"""Time that a peer may take to read a reply."""
_log = logging.getLogger(__name__)


class Examiner:
    """Answers requests. For several threads."""

    def __init__(self, artifacts: Path, scorers: Scorers) -> None:
        self._pools, self._lock, self._scorers = Pools(artifacts), threading.Lock(), scorers

    def reply(self, line: bytes) -> ExaminerReply:
        """Return the reply to a line. Raises nothing."""
        try:
            request = ExaminerRequest.read(line, limit=REQUEST_BYTES)
            return self._task(request.task) if request.task is not None else self._score(request.score)
        except MessageError as error:
            return refusal(ExaminerReason.REQUEST_INVALID, str(error))
        except RequestRefused as refused:
            return refusal(refused.reason, refused.message)
        except Exception:  # noqa: BLE001 - the border: one request that fails must not end the others
            _log.exception("a request failed")
            return refusal(ExaminerReason.INTERNAL, "the examiner failed; see its log")

    def _task(self, request: TaskRequest) -> ExaminerReply:
        with self._lock:
            running = self._pools.running(request.running)
            task = self._pools.get(request.pool).draw(request.seed, request.number, running=running)
        return ExaminerReply(task=question(task))

    def _score(self, request: ScoreRequest | None) -> ExaminerReply:
        if request is None:
            raise MessageError("neither task nor score is set")
        with self._lock:
            task = self._pools.get(request.pool).task(request.task_id)
        try:
            verdict = self._scorers.verdict(request.pool.scorer, task, request.answer, request.timing)
        finally:
            reap_adopted(self._scorers.pids)
        return ExaminerReply(verdict=verdict)


def refusal(reason: ExaminerReason, message: str) -> ExaminerReply:
    """Return a reply without task or verdict."""
    return ExaminerReply(error=ExaminerError(reason=reason, message=message[:1000]))


def listen(path: Path) -> socket.socket:
    """Return a socket that listens on `path`; one that an earlier process has left is replaced. Raises OSError."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o660)
    listener.listen(CONNECTIONS)
    return listener


async def serve(listener: socket.socket, examiner: Examiner, stop: asyncio.Event) -> None:
    """Answer on a listening socket until `stop` is set. Then a request that is being answered gets no reply."""
    open_: set[asyncio.Task[None]] = set()
    threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="examiner")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        open_.add(task)
        try:
            if len(open_) > CONNECTIONS:
                await _send(writer, refusal(ExaminerReason.BUSY, f"{CONNECTIONS} connections are open"))
            else:
                await _converse(reader, writer, examiner, threads)
        except (OSError, TimeoutError, asyncio.CancelledError) as error:  # the last one: the examiner ends
            _log.debug("a connection ended: %r", error)
        finally:
            open_.discard(task)
            writer.close()

    server = await asyncio.start_unix_server(connected, sock=listener, limit=REQUEST_BYTES)
    _log.info("listening on %s", listener.getsockname())
    await stop.wait()
    server.close()  # without waiting: from Python 3.12 on that is until the last connection has ended
    for task in list(open_):
        task.cancel()
    await asyncio.gather(*open_, return_exceptions=True)
    threads.shutdown(wait=False, cancel_futures=True)  # a hostile answer must not hold up the end of the pod


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, examiner: Examiner, threads: ThreadPoolExecutor
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), IDLE_SECONDS)
        except asyncio.LimitOverrunError:
            text = f"the line has more than {REQUEST_BYTES} bytes"
            await _send(writer, refusal(ExaminerReason.REQUEST_INVALID, text))
            return
        except asyncio.IncompleteReadError:
            return
        await _send(writer, await loop.run_in_executor(threads, examiner.reply, line))


async def _send(writer: asyncio.StreamWriter, reply: ExaminerReply) -> None:
    writer.write(reply.line())
    await asyncio.wait_for(writer.drain(), WRITE_SECONDS)


def keep_orphans() -> None:
    """Make the processes whose parent ends children of this process, so that `reap_adopted` finds them.

    The first process of a container has them in any case.
    """
    if os.getpid() != 1:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


_SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>."""
