"""Answers that were made elsewhere: a line for each task, in one of these forms.

    {"id": "t1", "text": "[f(a=1)]"}                          id and answer, all that scoring needs
    {"id": "t1", "text": ..., "finish_reason": ..., ...}      a line of a run's responses.jsonl
    {"id": "simple_python_0", "result": "[f(a=1)]", ...}      a line of a result file of BFCL's own program
    {"custom_id": "t1", "response": {"body": {"choices": ...  a reply of an API (`given_completions`)

The id may be called `task_id`, `custom_id` or `request_id`, or be that of the task in `doc` (lm-eval); the text
`response`, `output`, `completion`, `answer`, `prediction`, `predict` or `generated_text`, also as a list of one, or the
text of the one item of `outputs` (vLLM). `messages` end with the answer. A file may be one JSON array of such objects,
or one object of texts by id; compressed, or with a byte-order mark.

In BFCL's files `result` is a text, a list of calls `{name: arguments as JSON text}`, or in a conversation a list of
turns, each a list of the texts of its steps. Calls are of models that are asked through an API's tools. Such APIs take
no dots in names, so that BFCL's program writes `math_sqrt` for `math.sqrt`, and its checker reads it so.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bitagent_crds.results import Response
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.given_completions import completion_of, response_of
from bitagent_evaluator.support.faults import first_error
from bitagent_evaluator.support.text import shorten

_ABSENT = {"finish_reason": "stop", "prompt_tokens": 0, "completion_tokens": 0}
"""What answers from elsewhere do not say."""


_IDS = ("custom_id", "task_id", "request_id", "id")
_TEXTS = (
    "response",
    "output",
    "completion",
    "answer",
    "prediction",
    "predict",
    "generated_text",
    "filtered_resps",
    "outputs",
)
_MAX_LISTS = 2
_GZIP = b"\x1f\x8b"
_MAX_BYTES = 1 << 32
_SHOWN = 120


class BadAnswer(ValueError):
    """Raised for a line that is not an answer; the message says why."""


def read_given_answer(line: bytes, functions: Mapping[str, Collection[str]] | None = None) -> Response:
    """Return the answer of a line. `functions` are the names of those offered, by task.

    Raises BadAnswer, and FailedRequest for an API's error in place of an answer.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadAnswer("not a JSON object")
    if "id" not in content or "custom_id" in content:
        doc = content.get("doc")
        of_doc = doc.get("id") if isinstance(doc, dict) else None
        name = next((content[name] for name in _IDS if content.get(name) is not None), of_doc)
        if name is None:
            raise BadAnswer(f'the task\'s id is missing; name it "id"; the members are {_members(content)}')
        content = {**content, "id": name}
    if isinstance(content["id"], int) and not isinstance(content["id"], bool):
        content["id"] = str(content["id"])
    if "text" not in content and (completion := completion_of(content)) is not None:
        content = response_of(content["id"], completion, (functions or {}).get(str(content["id"]), ()))
    if "text" not in content:
        named = [text for name in _TEXTS if (text := _one_text(content.get(name))) is not None]
        content = {"id": content["id"], "text": named[0]} if len(named) == 1 else content
    elif isinstance(content["text"], list) and (text := _one_text(content["text"])) is not None:
        content["text"] = text
    if "text" not in content and "result" in content:
        dotted = _dotted((functions or {}).get(str(content.get("id")), ()))
        content = {"id": content.get("id"), **_of_result(content["result"], dotted)}
    if "text" not in content:
        raise BadAnswer(
            'an answer is {"id": ..., "text": ...}, a reply of an API, or a line of a BFCL result file; "text" is '
            f"missing, its members are {_members(content)}"
        )
    if content["text"] is None:  # no answer is an empty one
        content = {**content, "text": ""}
    try:
        return Response.model_validate(_ABSENT | content)
    except ValidationError as error:
        raise BadAnswer(str(first_error(error))) from None


def _members(content: Mapping[str, Any]) -> str:
    return shorten(", ".join(map(repr, content)), _SHOWN) or "none"


def _one_text(value: Any) -> str | None:
    """Return a text, also if it is the only item of a list, or the member `text` of that."""
    for _ in range(_MAX_LISTS):
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
    if isinstance(value, Mapping):
        value = value.get("text")
    return value if isinstance(value, str) else None


def answer_lines(content: bytes) -> list[bytes]:
    """Return the lines of a file of answers; of a JSON array each item as a line, and of an object of texts each text.

    Raises BadAnswer for a compressed file that breaks off, or another encoding than it announces.
    """
    content = _in_utf8(content)
    if content.lstrip()[:1] == b"{" and (texts := _texts_by_id(content)):
        return [json.dumps({"id": name, "text": text}).encode() for name, text in texts.items()]
    if content.lstrip()[:1] == b"[":
        try:
            items = json.loads(content)
        except (ValueError, RecursionError):
            items = []
        if len(items) and all(isinstance(item, dict) for item in items):
            return [json.dumps(item).encode() for item in items]
    return content.split(b"\n")


def _in_utf8(content: bytes) -> bytes:
    try:
        if content.startswith(_GZIP):
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(_MAX_BYTES)
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            content = content.decode("utf-16").encode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadAnswer(f"the file cannot be read: {error}") from None
    return content.removeprefix(codecs.BOM_UTF8)


def _texts_by_id(content: bytes) -> dict[str, str]:
    """Return the members of one object that has nothing but texts, by id; none for any other content."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    is_answer = not isinstance(value, dict) or value.keys() & {*_IDS, *_TEXTS, "text", "result", "choices", "message"}
    return {} if is_answer or not all(isinstance(text, str) for text in value.values()) else value


def format_of(responses: Iterable[Response]) -> BuiltinPromptFormat:
    """Return the format in which to read answers of which nothing is known: ChatTemplate if calls are objects."""
    texts = [step for of in responses for step in (of.text, *(step for turn in of.turns for step in turn))]
    of_calls = any(text.startswith(_CALLS) for text in texts) and not any(map(_LIST_OF_CALLS.match, texts))
    return BuiltinPromptFormat.CHAT_TEMPLATE if of_calls else BuiltinPromptFormat.BFCL


def _dotted(names: Collection[str]) -> dict[str, str]:
    """Names with dots by how an API writes them, where that is the name of one function alone."""
    written = Counter(name.replace(".", "_") for name in names)
    return {short: name for name in names if "." in name and written[short := name.replace(".", "_")] == 1}


def _of_result(result: Any, dotted: Mapping[str, str]) -> dict[str, Any]:
    """The text, and the turns, of BFCL's `result`. Raises BadAnswer."""
    if isinstance(result, str):
        return {"text": result}
    if isinstance(result, list) and result and all(isinstance(turn, list) for turn in result):
        turns = [[_step(step, dotted) for step in turn] for turn in result]
        return {"text": next((step for turn in reversed(turns) for step in reversed(turn)), ""), "turns": turns}
    if isinstance(result, list):
        return {"text": _calls_text(result, dotted)}
    raise BadAnswer("`result` is neither a text nor a list")


def _step(step: Any, dotted: Mapping[str, str]) -> str:
    return step if isinstance(step, str) else _calls_text(step if isinstance(step, list) else [step], dotted)


def _calls_text(calls: Sequence[Any], dotted: Mapping[str, str]) -> str:
    """Calls `{name: arguments}` as OpenAI's tool calls, which the format ChatTemplate reads."""
    listed = []
    for call in calls:
        if not isinstance(call, dict) or len(call) != 1:
            raise BadAnswer("`result` has a call that is not {name: arguments}")
        ((name, arguments),) = call.items()
        listed.append({"function": {"name": dotted.get(name, name), "arguments": arguments}})
    return json.dumps({"tool_calls": listed}, ensure_ascii=False) if listed else "[]"


_CALLS = '{"tool_calls": ['
"""What `_calls_text` begins with."""
_LIST_OF_CALLS = re.compile(r"\s{0,8}\[\s{0,8}[\w.]{1,256}\(")
"""An answer in BFCL's own syntax."""


@dataclass(frozen=True)
class Coverage:
    """How answers and tasks belong together, in numbers of ids."""

    answered: int
    absent: int
    """Tasks without an answer, which fail."""
    unknown: int
    """Answers to no task of the set, which are left out."""
    repeated: int
    """Further answers to a task; the first counts."""

    @property
    def problems(self) -> list[str]:
        """What a reader should know, in words; empty if each task has one answer."""
        counts = {
            "tasks have no answer and fail": self.absent,
            "answers belong to no task and are left out": self.unknown,
            "further answers to a task are left out": self.repeated,
        }
        return [f"{count} {text}" for text, count in counts.items() if count]


def coverage(tasks: Iterable[Task], responses: Iterable[Response]) -> Coverage:
    """Return how answers and tasks belong together."""
    ids = {task.id for task in tasks}
    given = Counter(response.id for response in responses)
    answered = ids & given.keys()
    return Coverage(
        answered=len(answered),
        absent=len(ids - answered),
        unknown=sum(count for name, count in given.items() if name not in ids),
        repeated=sum(given[name] - 1 for name in answered),
    )
