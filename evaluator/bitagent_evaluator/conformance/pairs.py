"""Formats of lines that carry a task and an answer.

Lines `bfcl` are BFCL's cases, scored by `Bfcl`. A line's category determines whether it is a single-turn case, or a
conversation with its simulated systems and the steps of each turn, or a question about a memory.

Lines `bitagent` are an expected call, tools, and an answer with its transport, scored by the rule set that the line
names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, Field, ValidationError

from bitagent_crds.results import Response
from bitagent_crds.task_forms import Expects, MemoryBackend
from bitagent_crds.task_set import Conversation, Memory, Task
from bitagent_crds.tasks import MEMORY, MULTI_TURN, BfclCategory
from bitagent_evaluator.parsing import ParsedResponse, parse_response
from bitagent_evaluator.scoring.bfcl import BfclScorer
from bitagent_evaluator.scoring.bitagent.criteria import ExpectedCall, MinerResponse
from bitagent_evaluator.scoring.bitagent.rules_2024_11 import Rules202411
from bitagent_evaluator.scoring.bitagent.rules_2025_04 import Rules202504
from bitagent_evaluator.scoring.bitagent.scorer import RuleSet
from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS
from bitagent_evaluator.support.faults import first_error
from bitagent_evaluator.tasks.sources.bfcl import expects_of, is_long_context, language_of, variation_of

LineModel = TypeVar("LineModel", bound=BaseModel)


class BadLine(ValueError):
    """Raised when a line cannot be scored; the message begins with its number."""


class PairFormat(StrEnum):
    """Formats of lines that carry a task and an answer together."""

    BFCL = "bfcl"
    BITAGENT = "bitagent"


class PairScorer(Protocol):
    """Scores lines of one format. Created without arguments."""

    def results(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield one result object per line that is not blank, in order. Raises BadLine."""
        ...


def read_lines(lines: Iterable[bytes], model: type[LineModel]) -> Iterator[tuple[int, LineModel]]:
    """Yield the lines that are not blank, with their numbers. Raises BadLine."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, read_line(number, line, model)


def read_line(number: int, line: bytes, model: type[LineModel]) -> LineModel:
    """Parse one line. Raises BadLine.

    Half a surrogate pair is kept, as Python's reader of JSON keeps it: an answer that has one is not Python to the
    official decoders, and costs its own line only.
    """
    try:
        return model.model_validate(_loaded(line)) if _SURROGATE.search(line) else model.model_validate_json(line)
    except ValidationError as error:
        raise BadLine(f"line {number}: {first_error(error)}") from error
    except (ValueError, RecursionError) as error:
        raise BadLine(f"line {number}: Invalid JSON: {error}") from error


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""What may be half a surrogate pair: an escape, or what some programs write in place of it."""


def _loaded(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))


def text_response(task: Task, text: str, *, turns: list[list[str]] | None = None) -> Response:
    """Return a response of which only the text is known and, in a conversation, the texts of the steps."""
    return Response(
        id=task.id, text=text, finish_reason="stop", prompt_tokens=0, completion_tokens=0, turns=turns or []
    )


class CaseLine(BaseModel):
    """The members of every line."""

    id: str
    category: BfclCategory


class BfclLine(CaseLine):
    """A single-turn case and an answer."""

    functions: list[dict[str, Any]]
    question: list[Any] = []
    """Chat messages by turn. Verdicts do not depend on them."""
    ground_truth: list[dict[str, dict[str, list[Any]]]] | None = None
    """Null if no particular call is expected."""
    response: str


class MultiTurnLine(CaseLine):
    """A case and a conversation. Functions and questions may be given; verdicts do not depend on them."""

    ground_truth: Annotated[list[list[str]], Field(min_length=1)]
    """Reference calls of each turn."""
    initial_config: dict[str, Any]
    involved_classes: list[str]
    response: list[list[str]] | str
    """Texts of each step of each turn; BFCL writes one text instead if the conversation failed."""


class MemoryLine(CaseLine):
    """A question about a memory, and the steps of its answer. Verdicts do not depend on the memory."""

    ground_truth: Annotated[list[str], Field(min_length=1)]
    """Texts of which a right answer contains one."""
    response: list[list[str]] | str
    """Texts of the steps of the one turn; BFCL writes one text instead if the conversation failed."""


class BfclPairs:
    """Scores single-turn cases and conversations, in one stream of lines."""

    def results(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield `{"id", "passed"}` per line. Raises BadLine."""
        ids: list[str] = []
        pairs: list[tuple[Task, ParsedResponse]] = []
        for number, line in enumerate(lines, 1):
            if line.strip():
                case = read_line(number, line, CaseLine)
                ids.append(case.id)
                task, response = _reader(case.category)(number, line)
                pairs.append((task, parse_response(response, language=task.language, variation=task.variation)))
        for line_id, verdict in zip(ids, BfclScorer().verdicts(pairs), strict=True):
            yield {"id": line_id, "passed": verdict.passed}


def _reader(category: BfclCategory) -> Callable[[int, bytes], tuple[Task, Response]]:
    if category in MEMORY:
        return _memory_question
    return _conversation if category in MULTI_TURN else _single_turn


def _memory_question(number: int, line: bytes) -> tuple[Task, Response]:
    case = read_line(number, line, MemoryLine)
    backend = MemoryBackend(case.category.removeprefix("memory_"))
    task = Task(
        id=str(number),
        source="pairs",
        category=case.category,
        messages=[],
        functions=[],
        expects=Expects.ANSWER,
        memory=Memory(backend=backend, scenario="", answers=case.ground_truth),
    )
    if isinstance(case.response, str):
        return task, text_response(task, case.response)
    return task, text_response(task, "", turns=case.response)


def _single_turn(number: int, line: bytes) -> tuple[Task, Response]:
    case = read_line(number, line, BfclLine)
    expects = expects_of(case.category)
    if expects is Expects.CALLS and not case.ground_truth:
        raise BadLine(f"line {number}: ground_truth: category {case.category} needs the expected calls")
    try:
        variation = variation_of(case.id) if case.category is BfclCategory.FORMAT_SENSITIVITY else None
    except LookupError:
        raise BadLine(f"line {number}: id: {case.id!r} names no variation of the prompt, as official ids do") from None
    task = Task(
        id=str(number),
        source="pairs",
        category=case.category,
        messages=[],
        functions=case.functions,
        expects=expects,
        language=language_of(case.category),
        ground_truth=case.ground_truth if expects is Expects.CALLS else None,
        variation=variation,
    )
    return task, text_response(task, case.response)


def _conversation(number: int, line: bytes) -> tuple[Task, Response]:
    case = read_line(number, line, MultiTurnLine)
    if unknown := [name for name in case.involved_classes if name not in SYSTEMS]:
        raise BadLine(f"line {number}: involved_classes: no system {unknown[0]!r}; there are: {', '.join(SYSTEMS)}")
    task = Task(
        id=str(number),
        source="pairs",
        category=case.category,
        messages=[],
        functions=[],
        expects=Expects.STATE,
        conversation=Conversation(
            turns=[[] for _ in case.ground_truth],  # verdicts do not depend on what was asked
            ground_truth=case.ground_truth,
            classes=case.involved_classes,
            initial_state=case.initial_config,
            long_context=is_long_context(case.category),
        ),
    )
    if isinstance(case.response, str):
        return task, text_response(task, case.response)
    return task, text_response(task, "", turns=case.response)


class RuleSetName(StrEnum):
    """Names of the rule sets in lines."""

    V2024_11 = "v2024_11"
    V2025_04 = "v2025_04"


RULE_SETS: Mapping[RuleSetName, RuleSet] = {
    RuleSetName.V2024_11: Rules202411(),
    RuleSetName.V2025_04: Rules202504(),
}


class ArgumentLine(BaseModel):
    """An argument's description."""

    required: Any = False
    """Any value that is true in Python, such as a text: the subnet's validators asked no more of it."""


class ToolLine(BaseModel):
    """A tool's description."""

    name: str
    arguments: dict[str, ArgumentLine] = {}


class ExpectedLine(BaseModel):
    """The expected call."""

    name: str
    arguments: dict[str, Any]
    is_ground_truth: bool = False


class BitAgentLine(BaseModel):
    """A task and an answer."""

    id: str
    ruleset: RuleSetName
    with_default: bool
    expected: ExpectedLine | None
    tools: list[ToolLine]
    response: str
    timeout: float = 0.0
    process_time: float | None = None
    axon_status: int | None = None
    dendrite_status: int | None = None


class BitAgentPairs:
    """Scores expected calls and answers by the rule set that each line names."""

    def results(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield `{"id", "criteria", "total", "possible", "normalized"}` per line. Raises BadLine."""
        for number, line in read_lines(lines, BitAgentLine):
            yield _result(number, line)


def _result(number: int, line: BitAgentLine) -> dict[str, Any]:
    expected = None
    if line.expected is not None:
        expected = ExpectedCall(line.expected.name, line.expected.arguments, line.expected.is_ground_truth)
        if expected.is_ground_truth and not all(isinstance(allowed, list) for allowed in expected.arguments.values()):
            raise BadLine(
                f"line {number}: expected.arguments: a ground truth lists the allowed values of each argument"
            )
    scored = RULE_SETS[line.ruleset].score(
        expected,
        {  # of two tools with one name, the first
            tool.name: frozenset(name for name, of in tool.arguments.items() if of.required)
            for tool in reversed(line.tools)
        },
        MinerResponse(line.response, line.timeout, line.process_time, line.axon_status, line.dendrite_status),
        with_default=line.with_default,
    )
    return {
        "id": line.id,
        "criteria": [list(points) for points in scored.criteria.values()],
        "total": scored.total,
        "possible": scored.possible,
        "normalized": scored.normalized,
    }
