"""BitAgent's messages. What is read may have unknown members and missing ones; what is written has exactly these.

Source: BitAgent's public subnet (`protocol.py` and its schemas of tools and chats). A message's class name is its name
on both wires, and its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

M = TypeVar("M", bound=BaseModel)

NAME_MAX = 512
TEXT_MAX = 1_048_576
"""Characters of one text: of a turn, of an answer."""
TOOLS_MAX = 1024
MESSAGES_MAX = 1024
ARGUMENTS_MAX = 512


class Role(StrEnum):
    """Who speaks in a turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_CALL = "tool call"
    TOOL_RESPONSE = "tool response"


_ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "tool_call": Role.TOOL_CALL,
        "tool_calls": Role.TOOL_CALL,
        "tool_response": Role.TOOL_RESPONSE,
        "tool": Role.TOOL_RESPONSE,
        "function": Role.TOOL_RESPONSE,
        "human": Role.USER,
        "developer": Role.SYSTEM,
    }
)
"""Other names of roles, which are read and never written."""


def _role(value: object) -> object:
    return _ROLES.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _empty_text(value: object) -> object:
    return "" if value is None else value


def _empty_list(value: object) -> object:
    return [] if value is None else value


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


Text = Annotated[str, Field(max_length=TEXT_MAX), BeforeValidator(_empty_text)]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ToolArgument(BaseModel):
    """A parameter of a tool. Members beyond these three, such as `enum`, are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    required: bool = False
    type: JsonValue = "string"
    description: Text = ""


class Tool(_Lenient):
    """A function that an answer may call."""

    name: Annotated[str, Field(max_length=NAME_MAX)]
    description: Text = ""
    arguments: Annotated[
        dict[Annotated[str, Field(max_length=NAME_MAX)], ToolArgument],
        Field(max_length=ARGUMENTS_MAX),
        BeforeValidator(_empty_mapping),
    ] = {}


class ChatMessage(_Lenient):
    """A turn of a conversation."""

    role: Annotated[Role, BeforeValidator(_role)]
    content: Text | dict[str, JsonValue] | list[JsonValue] = ""


class Message(_Lenient):
    """Base of the messages."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    """Fields without a default in the reference's class, of which the old wire needs an empty value in a header."""
    ANSWER: ClassVar[tuple[str, ...]] = ()
    """Fields that the answer fills."""

    @classmethod
    def kind(cls) -> str:
        """Return the name of the message on both wires."""
        return cls.__name__

    def fields(self) -> dict[str, Any]:
        """Return the members as they are sent."""
        return self.model_dump(mode="json")


class QueryTask(Message):
    """A task: a conversation and tools. The answer's `response` is text with calls of tools."""

    ANSWER = ("response", "hf_run_model_name")

    tools: Annotated[list[Tool], Field(max_length=TOOLS_MAX), BeforeValidator(_empty_list)] = []
    messages: Annotated[list[ChatMessage], Field(max_length=MESSAGES_MAX), BeforeValidator(_empty_list)] = []
    response: Text = ""
    hf_run_model_name: Annotated[str | None, Field(max_length=NAME_MAX)] = "N/A"
    competition_version: JsonValue = None


class QueryResult(Message):
    """Feedback on an answer, for people."""

    REQUIRED = ("results",)

    results: Text


class IsAlive(Message):
    """A question whether the miner answers at all."""

    ANSWER = ("response",)

    response: bool = False


class GetHFModelName(Message):
    """A question for the model that the miner submits, `owner/name` or `owner/name@revision`."""

    ANSWER = ("hf_model_name",)

    hf_model_name: Annotated[str | None, Field(max_length=NAME_MAX)] = None


class GetHFRunModelName(Message):
    """A question for the model with which the miner answers tasks."""

    ANSWER = ("hf_run_model_name",)

    hf_run_model_name: Annotated[str | None, Field(max_length=NAME_MAX)] = None


class SetHFModelName(Message):
    """A notice of the model that is kept for the miner."""

    REQUIRED = ("hf_model_name",)

    hf_model_name: Annotated[str, Field(max_length=NAME_MAX)]


MESSAGES: Mapping[str, type[Message]] = MappingProxyType(
    {each.kind(): each for each in (QueryTask, QueryResult, IsAlive, GetHFModelName, GetHFRunModelName, SetHFModelName)}
)
"""All messages by name."""


class Misread(Exception):
    """A body is not such a message."""

    def __init__(self, detail: str, *, too_long: bool = False) -> None:
        super().__init__(detail)
        self.too_long = too_long
        """Whether a text or list is longer than its bound."""


class _Response(_Lenient):
    response: Text
    hf_run_model_name: Annotated[str | None, Field(max_length=NAME_MAX)] = None


class _Alive(_Lenient):
    response: bool


class _ModelName(_Lenient):
    hf_model_name: Annotated[str | None, Field(max_length=NAME_MAX)]


class _RunModelName(_Lenient):
    hf_run_model_name: Annotated[str | None, Field(max_length=NAME_MAX)]


_ANSWERS: Mapping[type[Message], type[_Lenient]] = MappingProxyType(
    {QueryTask: _Response, IsAlive: _Alive, GetHFModelName: _ModelName, GetHFRunModelName: _RunModelName}
)


def read(kind: type[Message], body: bytes) -> Message:
    """Return the message in a body. Raises Misread."""
    return _read(kind, body)


def write(message: Message) -> bytes:
    """Return a message as the body of a request."""
    return message.model_dump_json().encode()


def answered(message: Message, body: bytes) -> Message:
    """Return a message that was sent, with what the body answers. Raises Misread.

    Nothing else of the body is looked at: what the miner repeats of the question is not believed.
    """
    answer = _read(_ANSWERS.get(type(message), _Lenient), body)
    return message.model_copy(update=answer.model_dump(exclude_unset=True))


def write_answer(message: Message) -> bytes:
    """Return the members that answer, as the body of an answer."""
    return message.model_dump_json(include=set(message.ANSWER)).encode()


def _read(kind: type[M], body: bytes) -> M:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        detail = f"{where}: {first['msg']}" if where else first["msg"]
        raise Misread(detail[:200], too_long=first["type"] in ("string_too_long", "too_long")) from None
