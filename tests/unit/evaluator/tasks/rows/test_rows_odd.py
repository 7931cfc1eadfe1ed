"""Properties: a row whose answer is a call, in whatever form and however damaged, is never a task without a call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowReader, RowSkipped
from bitagent_evaluator.tasks.rows.bitagent import BitAgentRows
from bitagent_evaluator.tasks.rows.columns import ColumnRows
from bitagent_evaluator.tasks.rows.glaive import GlaiveRows
from bitagent_evaluator.tasks.rows.openai import OpenAIRows
from bitagent_evaluator.tasks.rows.sharegpt import ShareGPTRows

ORIGIN = Origin("jsonl", "p")
NAME = "get_weather"
PROPERTIES = {"city": {"type": "string"}, "days": {"type": "integer"}, "from": {"type": "string"}}
WEATHER = {"name": NAME, "description": "", "parameters": {"type": "object", "properties": PROPERTIES, "required": []}}
OTHER = {"name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}}

ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "city": st.sampled_from(["Oslo", "", "L'Aquila", 'the "city"', "Ås\n", "f(x)", "</tool_call>"]) | st.none(),
        "days": st.sampled_from([3, "3", 2.5, None, True]),
        "from": st.just("today"),
    },
)
NOTHING: st.SearchStrategy[Any] = st.sampled_from([None, "", [], "[]", "null", {}])


def python(arguments: dict[str, Any]) -> str:
    return f"{NAME}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def as_tags(arguments: dict[str, Any]) -> str:
    return "".join(f"<parameter={name}>{value}</parameter>" for name, value in arguments.items())


def call_object(arguments: Any, member: str = "arguments") -> dict[str, Any]:
    return {"name": NAME, member: arguments}


TEXTS = {
    "Hermes": lambda a: f"<tool_call>\n{json.dumps(call_object(a))}\n</tool_call>",
    "Hermes, two": lambda a: f"<tool_call>{json.dumps(call_object(a))}</tool_call>\n<tool_call>{{}}</tool_call>",
    "Glaive": lambda a: f"<functioncall> {{\"name\": \"{NAME}\", \"arguments\": '{json.dumps(a)}'}} <|endoftext|>",
    "ToolACE": lambda a: f"[{python(a)}]",
    "JSON": lambda a: json.dumps([call_object(a)]),
    "Llama's JSON": lambda a: json.dumps(call_object(a, "parameters")),
    "JSON in JSON": lambda a: json.dumps(call_object(json.dumps(a))),
    "arguments as a list": lambda a: json.dumps(call_object([a])),
    "Python's JSON": lambda a: str(call_object(a)),
    "OpenAI": lambda a: json.dumps({"tool_calls": [{"type": "function", "function": call_object(json.dumps(a))}]}),
    "BFCL": lambda a: json.dumps([{NAME: a}]),
    "Qwen3-Coder": lambda a: f"<tool_call><function={NAME}>{as_tags(a)}</function></tool_call>",
    "Mistral": lambda a: f"[TOOL_CALLS]{NAME}[ARGS]{json.dumps(a)}",
    "XML": lambda a: f"<{NAME}>{as_tags(a)}</{NAME}>",
    "ReAct": lambda a: f"Action: {NAME}\nAction Input: {json.dumps(a)}",
    "reWOO": lambda a: f"#E1 = {NAME}[{a}]",
    "YAML": lambda a: f"tool: {NAME}\nwith: {a}",
    "fenced": lambda a: f"Sure:\n```json\n{json.dumps(call_object(a), indent=1)}\n```",
    "thought before": lambda a: f"<think>No {NAME}?</think>{python(a)}",
}  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text that is a call, or the beginning of one that reaches beyond the name."""
    text = TEXTS[draw(st.sampled_from(sorted(TEXTS)))](draw(ARGUMENTS))
    end = text.rindex(NAME) + len(NAME) + 1
    return text[: draw(st.integers(end, max(end, len(text))) | st.just(len(text)))]


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """An assistant's message that makes a call, with odd members."""
    message: dict[str, Any] = {"role": draw(st.sampled_from(["assistant", "Assistant", "gpt", "model"]))}
    message |= draw(st.fixed_dictionaries({}, optional={"weight": st.just(0), "refusal": st.none(), "name": NOTHING}))
    listed = draw(st.sampled_from(["tool_calls", "function_call", "tool_call", "toolCalls", ""]))
    arguments = draw(ARGUMENTS)
    call: Any = call_object(draw(st.sampled_from([arguments, json.dumps(arguments)])))
    if listed:
        call = draw(st.sampled_from([call, {"id": "1", "type": "function", "function": call}, json.dumps(call)]))
        message |= {listed: call if listed == "function_call" else [call] * draw(st.integers(1, 2))}
        return message | {"content": draw(NOTHING | st.just("Let me look."))}
    text = draw(texts())
    forms: list[Any] = [text, [text], [{"type": "text", "text": text}], [{"type": "text", "text": "So: "}, text], call]
    forms += [[{"type": "tool_use", "name": NAME, "input": arguments}], [{"type": "tool_use", "input": arguments}]]
    return message | {"content": draw(st.sampled_from(forms)), "tool_calls": draw(NOTHING)}


@st.composite
def chats(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A chat whose last turn is a call, perhaps after a question of the assistant, perhaps with results."""
    chat: list[dict[str, Any]] = []
    if draw(st.booleans()):
        chat.append({"role": draw(st.sampled_from(["system", "developer"])), "content": "Be brief."})
    chat.append({"role": draw(st.sampled_from(["user", "human"])), "content": [{"type": "text", "text": "Rain?"}]})
    if draw(st.booleans()):
        chat.append({"role": "assistant", "content": "Where?", "tool_calls": draw(NOTHING)})
        chat.append({"role": "user", "content": "In Oslo."})
    chat.append(draw(answers()))
    results = st.lists(st.sampled_from(["tool", "function", "observation", "ipython"]), max_size=2)
    chat += [{"role": role, "content": draw(st.sampled_from(["Rain", {"a": 1}, None]))} for role in draw(results)]
    if draw(st.booleans()):
        chat.append({"role": "assistant", "content": "It rains."})
    return chat


def as_openai(chat: list[dict[str, Any]], functions: Any) -> dict[str, Any]:
    return {"messages": chat, "tools": functions}


def as_hermes(chat: list[dict[str, Any]], functions: Any) -> dict[str, Any]:
    system = {"role": "system", "content": f"<tools>{json.dumps([WEATHER, OTHER])}</tools>"}
    return {"messages": [system, *chat], "tools": None}


def as_bitagent(chat: list[dict[str, Any]], functions: Any) -> dict[str, Any]:
    return {"conversation": json.dumps(chat), "tools": functions}


def as_sharegpt(chat: list[dict[str, Any]], functions: Any) -> dict[str, Any]:
    renamed = {"role": "from", "content": "value"}
    return {
        "conversations": [{renamed.get(name, name): value for name, value in message.items()} for message in chat],
        "tools": functions,
    }


ROWS: dict[str, tuple[Any, RowReader]] = {
    "OpenAI": (as_openai, OpenAIRows(ORIGIN)),
    "Hermes": (as_hermes, OpenAIRows(ORIGIN)),
    "BitAgent": (as_bitagent, BitAgentRows(ORIGIN)),
    "ShareGPT": (as_sharegpt, ShareGPTRows(ORIGIN)),
}
FUNCTIONS = st.sampled_from(
    [
        [WEATHER, OTHER],
        json.dumps([WEATHER, OTHER]),
        [{"type": "function", "function": WEATHER}],
        str([WEATHER]),
        [json.dumps(WEATHER)],
    ]
)


def read(reader: RowReader, row: dict[str, Any]) -> Task | None:
    try:
        return reader.read(row, "1")
    except RowSkipped:
        return None


def assert_a_call_or_nothing(task: Task | None, row: dict[str, Any]) -> None:
    if task is not None:
        assert task.expects is Expects.CALLS, row
        assert all(list(call) == [NAME] for call in task.ground_truth or []), row


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=150)
@given(chats(), FUNCTIONS)
def test_a_chat_with_a_call(name: str, chat: list[dict[str, Any]], functions: Any) -> None:
    write, reader = ROWS[name]
    row = write(chat, functions)
    assert_a_call_or_nothing(read(reader, row), row)


@settings(max_examples=150)
@given(answers() | texts())
def test_an_answer_in_a_column(answer: Any) -> None:
    reader = ColumnRows(ORIGIN, Columns(question="q", functions="tools", answers="answer"))
    row = {"q": "Rain?", "tools": [WEATHER, OTHER], "answer": answer}
    assert_a_call_or_nothing(read(reader, row), row)


@settings(max_examples=150)
@given(texts(), st.booleans())
def test_a_chat_of_glaive(text: str, asked_back: bool) -> None:
    before = "ASSISTANT: Where? <|endoftext|>\n\n\nUSER: In Oslo.\n\n\n" if asked_back else ""
    system = f"SYSTEM: Use these.\n{json.dumps(WEATHER)}\n{json.dumps(OTHER)}"
    row = {"system": system, "chat": f"USER: Rain?\n\n\n{before}ASSISTANT: {text} <|endoftext|>\n\n\n"}
    assert_a_call_or_nothing(read(GlaiveRows(ORIGIN), row), row)


@settings(max_examples=100)
@given(st.data())
def test_a_result_means_that_there_was_a_call(data: st.DataObject) -> None:
    text = TEXTS[data.draw(st.sampled_from(sorted(TEXTS)))](data.draw(ARGUMENTS))
    damaged = text[: data.draw(st.integers(0, len(text)))].replace(NAME, data.draw(st.sampled_from([NAME, "weather"])))
    chat = [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": damaged}]
    chat += [{"role": "tool", "content": "Rain"}, {"role": "assistant", "content": "It rains."}]
    task = read(OpenAIRows(ORIGIN), as_openai(chat, [WEATHER, OTHER]))
    assert task is None or task.expects is Expects.CALLS


@pytest.mark.parametrize(
    "name", sorted(TEXTS.keys() - {"Hermes, two", "arguments as a list", "BFCL", "XML", "reWOO", "YAML"})
)
def test_the_usual_forms_are_read(name: str) -> None:
    chat = [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": TEXTS[name]({"city": "Oslo", "days": 3})},
    ]
    task = read(OpenAIRows(ORIGIN), as_openai(chat, [WEATHER, OTHER]))
    assert task is not None
    assert task.ground_truth == [{NAME: {"city": ["Oslo"], "days": [3]}}]
