"""Messages between a validator and its examiner: fresh tasks for miners, and verdicts on their answers.

The examiner is a container of the evaluator's image beside the validator's own (`bitagent-eval examiner`). It listens
on a Unix socket in a volume that only the two share. A message is one line of JSON, and each request has one reply, in
order. The examiner has no key and no token, and reads the artifact volume; the validator has the key, and neither data
sets nor scorers.

Neither side believes the other: a line has at most REQUEST_BYTES or REPLY_BYTES, every text, list and map has a bound,
and members of a later version are ignored.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from bitagent_crds.evaluation import BuiltinScorer, ScorerName
from bitagent_crds.fields import Digest, Text
from bitagent_crds.schema import FileModel

EXAMINER_MOUNT = "/run/bitagent/examiner"
"""Where the validator's pod mounts the volume of the socket, in both containers."""
EXAMINER_SOCKET = f"{EXAMINER_MOUNT}/examiner.sock"
REQUEST_BYTES = 2 << 20
"""Longest line of a request, its line break included."""
REPLY_BYTES = 2 << 20
"""Longest line of a reply, its line break included."""
REPLY_SECONDS = 90.0
"""Time after which a reply does not come any more: a scorer that started late and was replaced once, and the answers
before this one."""
MAX_ANSWER = 131_072
"""Longest answer of a request, in characters: twice of what any syntax reads, so that cutting there changes no
verdict."""

MAX_RUNNING = 32
"""Most rounds of a request whose tasks must not be drawn: two of each competition, twice over."""

RoundUid = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$")]
TaskId = Annotated[str, Field(min_length=1, max_length=256)]
_Word = Annotated[str, Field(max_length=256)]
_LongText = Annotated[str, Field(max_length=262_144)]


class Pool(FileModel):
    """A task set from which online tasks are drawn: that of a round with `tasksOnly`, and how answers are scored."""

    round_uid: RoundUid
    """uid of the EvalRound, which names its directory in the artifact volume (`names.task_set_path`)."""
    digest: Digest
    """SHA-256 of tasks.jsonl, as in the round's status; files that differ from it are refused."""
    scorer: ScorerName = BuiltinScorer.BFCL
    """Rule by which answers are scored: the competition's."""


class TaskSetFiles(FileModel):
    """The task set of a round, on the artifact volume."""

    round_uid: RoundUid
    """uid of the EvalRound, which names its directory (`names.task_set_path`)."""
    digest: Digest
    """SHA-256 of tasks.jsonl, as in the round's status; files that differ from it are refused."""


class TaskRequest(FileModel):
    """Draw one task of a pool."""

    pool: Pool
    seed: Annotated[str, Field(min_length=1, max_length=256)]
    """Seed of the choice: with the same pool it gives the same task on any machine."""
    number: Annotated[int, Field(ge=0)] | None = None
    """Number of the step: with it, not the seed but the pool's digest decides the order, and each task is drawn once
    before any is drawn again. An earlier examiner draws by the seed."""
    running: Annotated[list[TaskSetFiles], Field(max_length=MAX_RUNNING)] = []
    """Task sets of rounds that run: none of their tasks is drawn, however the pool's task is altered. An earlier
    examiner does not look at them."""


class ToolArgument(FileModel):
    """One argument of a tool, as the BitAgent subnet describes it."""

    required: bool
    type: _Word
    description: _LongText


class WireTool(FileModel):
    """One tool, as the BitAgent subnet describes it."""

    name: _Word
    description: _LongText
    arguments: Annotated[dict[_Word, ToolArgument], Field(max_length=128)] = {}
    """Arguments by name."""


class WireMessage(FileModel):
    """One message of the conversation."""

    role: Annotated[str, Field(max_length=32)]
    """`system`, `user`, `assistant`, `tool call` or `tool response`."""
    content: _LongText


class ExaminerTask(FileModel):
    """One task as miners are asked it: the right answer is not in it."""

    id: TaskId
    """Id within the pool, by which its answers are scored."""
    messages: Annotated[list[WireMessage], Field(min_length=1, max_length=128)]
    tools: Annotated[list[WireTool], Field(max_length=256)]


class Timing(FileModel):
    """How long the answer took, for the scorers of the BitAgent subnet, which have criteria about it."""

    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
    """Time from the request to the end of the answer."""
    timeout_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
    """Time that the miner had."""


class ScoreRequest(FileModel):
    """Score one answer to one task of a pool."""

    pool: Pool
    task_id: TaskId
    answer: Annotated[str, Field(max_length=MAX_ANSWER)]
    """The miner's answer, through `bounded_answer`."""
    timing: Timing | None = None
    """Time of the answer; None: the criteria about it are left out. Only the scorers BitAgent202411 and BitAgent202504
    have such criteria."""


class CriterionScore(FileModel):
    """One criterion of a verdict."""

    name: Annotated[str, Field(max_length=64)]
    points: Annotated[float, Field(allow_inf_nan=False)]
    """Points given; they may be negative."""
    maximum: Annotated[float, Field(allow_inf_nan=False)]
    """Points possible."""
    detail: Annotated[str, Field(max_length=300)] = ""
    """What was missed, in words; never a value of the right answer."""


class ExaminerVerdict(FileModel):
    """Score of one answer. A miner may see all of it: it has no value of the right answer."""

    points: Annotated[float, Field(allow_inf_nan=False)]
    """Sum of the points given; it may be negative."""
    maximum: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Sum of the points possible."""
    score: Annotated[float, Field(ge=0, le=1)]
    """Score of the answer, from 0 to 1, as in a round, and with the criteria about time if there was a `timing`."""
    criteria: Annotated[list[CriterionScore], Field(max_length=16)] = []
    expected_shape: Text = ""
    """Form of a right answer, without its function and values."""


class ExaminerReason(StrEnum):
    """Why there is no task or verdict."""

    REQUEST_INVALID = "RequestInvalid"
    """The line is too long, no JSON, or no request."""
    POOL_MISSING = "PoolMissing"
    """The artifact volume has no such task set."""
    POOL_CHANGED = "PoolChanged"
    """The task set is not the one of the digest, or cannot be read."""
    POOL_TOO_LARGE = "PoolTooLarge"
    """The task set is larger than what an examiner holds."""
    POOL_UNSUITABLE = "PoolUnsuitable"
    """No task of the pool can be asked by one message and judged by the scorer."""
    POOL_IN_USE = "PoolInUse"
    """Each task of the pool that can be asked is also one of a round that runs: the sources have too few tasks."""
    ROUND_UNREADABLE = "RoundUnreadable"
    """The tasks of a round that runs cannot be read, so that which tasks must not be asked is not known."""
    TASK_MISSING = "TaskMissing"
    """The pool has no such task, or it cannot be asked."""
    SCORER_REFUSED = "ScorerRefused"
    """The scorer does not exist, is broken, or judges no answers of miners, as Loss."""
    ANSWER_TOO_COSTLY = "AnswerTooCostly"
    """Reading or judging the answer needs more time or memory than it may take. The miner's doing: it scores 0."""
    ANSWER_BREAKS_SCORER = "AnswerBreaksScorer"
    """The scorer fails on the answer by an error of its own. The miner scores 0 all the same: otherwise such an answer
    would be better than a wrong one."""
    SCORER_LOST = "ScorerLost"
    """The process that scores was killed, or did not start or get to run; the answer has no score."""
    BUSY = "Busy"
    """More requests at once than an examiner takes."""
    INTERNAL = "Internal"
    """The examiner failed; its log has the cause. Also a reason of a later version."""

    @property
    def by_answer(self) -> bool:
        """Whether the answer is the cause, so that it scores 0; otherwise there is no score."""
        return self in (ExaminerReason.ANSWER_TOO_COSTLY, ExaminerReason.ANSWER_BREAKS_SCORER)


def _known_reason(value: Any) -> Any:
    known = set(ExaminerReason)
    return value if not isinstance(value, str) or value in known else ExaminerReason.INTERNAL


class ExaminerError(FileModel):
    """Why a request has neither task nor verdict."""

    reason: Annotated[ExaminerReason, BeforeValidator(_known_reason)]
    message: Text
    """What happened, in a sentence."""


class MessageError(ValueError):
    """Raised for a line that is not a message of this module; the message says why."""


class _Line(FileModel):
    """A message of one line, with exactly one member that is set."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(f"exactly one of {', '.join(type(self).model_fields)} must be set")
        return self

    def line(self) -> bytes:
        """Return the message as a line of JSON."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), ensure_ascii=False).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes, *, limit: int) -> Self:
        """Return the message of a line. Raises MessageError."""
        if len(line) > limit:
            raise MessageError(f"the line has more than {limit} bytes")
        if not line.endswith(b"\n"):
            raise MessageError("the connection was closed within a line")
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise MessageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:300]) from None


class ExaminerRequest(_Line):
    """What a validator sends: exactly one member is set."""

    task: TaskRequest | None = None
    score: ScoreRequest | None = None


class ExaminerReply(_Line):
    """What an examiner answers: exactly one member is set."""

    task: ExaminerTask | None = None
    verdict: ExaminerVerdict | None = None
    error: ExaminerError | None = None


def bounded_answer(text: str) -> str:
    """Return a miner's answer as a request may hold it: cut to MAX_ANSWER, with `?` for each lone surrogate."""
    return text[:MAX_ANSWER].encode(errors="replace").decode()
