"""An examiner for tests: the messages of `bitagent_crds.examiner` on a Unix socket, with one task and a simple score.

The answer `right` scores 1, `half` 0.5 and any other 0. What a word of an answer does beside that is in `Examiner`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bitagent_crds.examiner import (
    REQUEST_BYTES,
    CriterionScore,
    ExaminerError,
    ExaminerReason,
    ExaminerReply,
    ExaminerRequest,
    ExaminerTask,
    ExaminerVerdict,
    ScoreRequest,
    TaskRequest,
    ToolArgument,
    WireMessage,
    WireTool,
)

SECRET = "the right answer"
SHAPE = "[name(argument=value)]"
SCORES = {"right": 1.0, "half": 0.5}


@dataclass
class Examiner:
    """What it was asked, and what it does.

    An answer that begins with `costly` is too costly, one with `lost` has its scorer killed, and with one with `crash`
    the connection ends.
    """

    tasks: list[TaskRequest] = field(default_factory=list)
    scores: list[ScoreRequest] = field(default_factory=list)
    refuses: dict[str, ExaminerReason] = field(default_factory=dict)
    """Why it gives no task, by the uid of the pool's round."""
    raw: bytes | None = None
    """What it answers to anything; None: what it should."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first request."""

    def reply(self, request: ExaminerRequest) -> ExaminerReply | None:
        """Return the answer; None if the connection ends."""
        self.asked.set()
        if request.task is not None:
            return self._task(request.task)
        if request.score is not None:
            return self._score(request.score)
        return None

    def _task(self, request: TaskRequest) -> ExaminerReply:
        self.tasks.append(request)
        if (why := self.refuses.get(request.pool.round_uid)) is not None:
            return ExaminerReply(error=ExaminerError(reason=why, message="no such tasks"))
        argument = ToolArgument(required=True, type="string", description="name of the city")
        tool = WireTool(name="weather", description="the weather of a city", arguments={"city": argument})
        messages = [WireMessage(role="user", content=f"weather in {request.seed[:8]}?")]
        return ExaminerReply(task=ExaminerTask(id=f"task-{request.seed[:8]}", messages=messages, tools=[tool]))

    def _score(self, request: ScoreRequest) -> ExaminerReply | None:
        self.scores.append(request)
        if request.answer.startswith("crash"):
            return None
        if request.answer.startswith(("costly", "lost")):
            by_answer = request.answer.startswith("costly")
            reason = ExaminerReason.ANSWER_TOO_COSTLY if by_answer else ExaminerReason.SCORER_LOST
            return ExaminerReply(error=ExaminerError(reason=reason, message="the scorer ended"))
        score = SCORES.get(request.answer, 0.0)
        criterion = CriterionScore(name="names", points=3 * score, maximum=3.0, detail="[a name] is missing")
        return ExaminerReply(
            verdict=ExaminerVerdict(
                points=3 * score, maximum=3.0, score=score, criteria=[criterion], expected_shape=SHAPE
            )
        )


@asynccontextmanager
async def listening(path: Path, examiner: Examiner) -> AsyncIterator[Examiner]:
    """Answer on a socket for a `with` block."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                reply = examiner.reply(ExaminerRequest.read(line, limit=REQUEST_BYTES))
                content = examiner.raw if examiner.raw is not None else reply.line() if reply is not None else b""
                if not content:
                    return
                writer.write(content)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path, limit=REQUEST_BYTES)
    try:
        yield examiner
    finally:
        server.close()
