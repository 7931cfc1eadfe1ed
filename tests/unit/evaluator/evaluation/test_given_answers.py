"""Answers from elsewhere: every form of a line, and how answers and tasks belong together."""

from __future__ import annotations

import codecs
import gzip
import json
from typing import Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.given_answers import (
    BadAnswer,
    Coverage,
    answer_lines,
    coverage,
    format_of,
    read_given_answer,
)
from bitagent_evaluator.evaluation.given_completions import FailedRequest
from bitagent_evaluator.parsing import parse_answer
from bitagent_evaluator.prompts.chat_formats import ChatTemplate

RESPONSE = Response(id="t", text="[f(a=1)]", finish_reason="length", prompt_tokens=3, completion_tokens=4)
F1 = [{"f": {"a": 1}}]


def read(**line: Any) -> Response:
    return read_given_answer(json.dumps(line).encode())


def test_a_line_of_a_run() -> None:
    assert read_given_answer(RESPONSE.model_dump_json().encode()) == RESPONSE


MESSAGE = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}
ITEM = {"type": "function_call", "name": "f", "arguments": '{"a": 1}', "call_id": "c"}
PART = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}


@pytest.mark.parametrize(
    "line",
    [
        {"id": "t", "text": "[f(a=1)]"},
        {"id": "t", "result": "[f(a=1)]", "latency": 0.1, "input_token_count": 7},
        {"id": "t", "result": [{"f": '{"a": 1}'}]},
        {"id": "t", "result": [{"f": {"a": 1}}]},
        {"task_id": "t", "text": "[f(a=1)]"},
        {"id": "t", "response": "[f(a=1)]"},
        {"id": "t", "output": "[f(a=1)]", "prompt": "Do it."},
        {"id": "t", "generated_text": "[f(a=1)]"},
        {"id": "t", "predict": "[f(a=1)]", "label": "x"},
        {"id": "t", "response": ["[f(a=1)]"]},
        {"id": "t", "text": ["[f(a=1)]"]},
        {"request_id": "t", "outputs": [{"text": "[f(a=1)]", "token_ids": [1]}], "prompt": "x"},
        {"doc_id": 0, "doc": {"id": "t"}, "resps": [["[f(a=1)]"]], "filtered_resps": ["[f(a=1)]"]},
        {"id": "t", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "[f(a=1)]"}]},
        {"id": "t", "tool_calls": MESSAGE["tool_calls"]},
        {"id": "t", "message": {"content": "[f(a=1)]"}},
        {"id": "t", "message": MESSAGE},
        {"id": "t", "choices": [{"message": MESSAGE, "finish_reason": "tool_calls"}]},
        {
            "id": "batch_1",
            "custom_id": "t",
            "response": {"status_code": 200, "body": {"choices": [{"message": MESSAGE}]}},
        },
        {"custom_id": "t", "response": {"body": {"object": "response", "output": [{"type": "reasoning"}, ITEM]}}},
        {"custom_id": "t", "result": {"type": "succeeded", "message": {"content": [PART], "stop_reason": "tool_use"}}},
        {"id": "t", "output": {"choices": [{"message": MESSAGE, "stop_reason": "tool_calls"}], "completion": ""}},
    ],
    ids=[
        *("id and text", "BFCL text", "BFCL calls", "BFCL calls as objects", "task_id", "response", "output"),
        *("generated_text", "predict", "a list of one", "a text in a list", "vLLM's outputs", "lm-eval", "a chat"),
        *("calls alone", "a message", "a message with calls", "a reply", "a batch's reply"),
        *("a batch's response", "Anthropic's batch", "Inspect's sample"),
    ],
)
def test_lines_from_elsewhere(line: dict[str, Any]) -> None:
    response = read(**line)
    assert response.id == "t"
    assert parse_answer(response.text, ChatTemplate.syntaxes).calls == F1


def test_a_number_as_id_and_no_text() -> None:
    assert (read(id=7, text="x").id, read(id="t", text=None).text) == ("7", "")


def test_a_reply_is_read_as_an_endpoints() -> None:
    call = {"function": {"name": "math_sqrt", "arguments": "{}"}}
    choice = {"message": {"content": "", "reasoning_content": "hm", "tool_calls": [call]}, "finish_reason": "length"}
    line = {"id": "t", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    response = read_given_answer(json.dumps(line).encode(), {"t": ["math.sqrt"]})
    assert (response.finish_reason, response.prompt_tokens, response.completion_tokens) == ("length", 3, 4)
    assert parse_answer(response.text, ChatTemplate.syntaxes).calls == [{"math.sqrt": {}}]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"custom_id": "t", "response": None, "error": {"message": "expired"}}, "expired"),
        ({"custom_id": "t", "response": {"status_code": 400, "body": {"error": {"message": "too long"}}}}, "too long"),
        ({"custom_id": "t", "response": {"status_code": 500}}, "no reply"),
        ({"id": "t", "choices": []}, "without choices"),
        ({"custom_id": "t", "result": {"type": "errored", "error": {"error": {"message": "too long"}}}}, "too long"),
        ({"custom_id": "t", "result": {"type": "expired"}}, "expired"),
        ({"custom_id": "t", "response": {"body": {"output": [], "error": {"message": "odd"}}}}, "odd"),
        ({"id": "t", "output": {"choices": [{"message": {"content": "f("}, "stop_reason": "abort"}]}}, "broke off"),
        ({"id": "t", "choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}, "content_filter"),
    ],
    ids=[
        *("an error", "an error in the body", "nothing", "no choices", "Anthropic's error", "Anthropic's batch ended"),
        *("a response's error", "an answer that broke off", "filtered"),
    ],
)
def test_a_request_without_an_answer_costs_its_task_only(line: dict[str, Any], words: str) -> None:
    with pytest.raises(FailedRequest, match=words):
        read(**line)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b'[{"id": 1},\n {"id": 2}]', [b'{"id": 1}', b'{"id": 2}']),
        (b'\xef\xbb\xbf[{"id": 1}]', [b'{"id": 1}']),
        (b'{"id": 1}\n{"id": 2}\n', [b'{"id": 1}', b'{"id": 2}', b""]),
        (b"[1]\n", [b"[1]", b""]),
        (b"[\n", [b"[", b""]),
        (b"[]", [b"[]"]),
    ],
    ids=["an array", "with a mark", "lines", "no objects", "half", "empty"],
)
def test_an_array_is_as_good_as_lines(content: bytes, lines: list[bytes]) -> None:
    assert answer_lines(content) == lines


def test_a_conversation_of_bfcl() -> None:
    response = read(id="t", result=[["f(a=1)", "Done."], [[{"f": '{"a": 1}'}], "Bye."]])
    assert [len(turn) for turn in response.turns] == [2, 2]
    assert response.text == "Bye."
    assert parse_answer(response.turns[1][0], ChatTemplate.syntaxes).calls == F1


NAMES = {"t": ["math.sqrt", "f", "a.b", "a_b"]}


@pytest.mark.parametrize(
    ("written", "name"),
    [("math_sqrt", "math.sqrt"), ("f", "f"), ("a_b", "a_b"), ("math.sqrt", "math.sqrt"), ("g_h", "g_h")],
)
def test_names_that_an_api_wrote_without_dots(written: str, name: str) -> None:
    line = {"id": "t", "result": [{written: '{"x": 9}'}]}
    response = read_given_answer(json.dumps(line).encode(), NAMES)
    assert parse_answer(response.text, ChatTemplate.syntaxes).calls == [{name: {"x": 9}}]


def test_names_in_a_text_stay_as_they_are() -> None:
    line = {"id": "t", "result": "[math_sqrt(x=9)]"}
    assert read_given_answer(json.dumps(line).encode(), NAMES).text == "[math_sqrt(x=9)]"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([{"result": [{"f": "{}"}]}, {"result": []}, {"result": "I cannot."}], "ChatTemplate"),
        ([{"result": [["I look.", [{"f": "{}"}]], ["Done."]]}], "ChatTemplate"),
        ([{"result": "[f(a=1)]"}, {"result": '{"tool_calls": []}'}], "Bfcl"),
        ([{"text": "f(a=1)"}], "Bfcl"),
        ([], "Bfcl"),
    ],
    ids=["calls", "a conversation of calls", "texts", "a text", "nothing"],
)
def test_the_format_of_answers_of_which_nothing_is_known(lines: list[dict[str, Any]], expected: str) -> None:
    assert format_of([read(id=str(number), **line) for number, line in enumerate(lines)]) == expected


def test_no_calls_of_bfcl() -> None:
    assert parse_answer(read(id="t", result=[]).text).calls == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        (b'{"id": "t"}', "text"),
        (b'{"text": "x"}', "id"),
        (b'{"id": "t", "text": 3}', "text"),
        (b'{"id": "t", "answer": "a", "output": "b"}', "'answer', 'output'"),
        (b'{"id": true, "text": "a"}', "id"),
        (b'{"id": "t", "result": 3}', "result"),
        (b'{"id": "t", "result": [{"a": 1, "b": 2}]}', "result"),
    ],
    ids=[
        "broken",
        "list",
        "no text",
        "no id",
        "a number",
        "two texts",
        "no id either",
        "a number as result",
        "two names",
    ],
)
def test_a_line_that_is_no_answer(line: bytes, word: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        read_given_answer(line)
    assert word in str(caught.value)


def test_coverage() -> None:
    tasks = [Task(id=name, source="jsonl", category="c", messages=[], functions=[]) for name in "abc"]
    given = [read(id=name, text="") for name in "aaabxy"]
    found = coverage(tasks, given)
    assert found == Coverage(answered=2, absent=1, unknown=2, repeated=2)
    assert len(found.problems) == 3
    assert not coverage(tasks[:1], given[:1]).problems


LINES = b'{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}'


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        gzip.compress(LINES),
        LINES.decode().encode("utf-16"),
        b'{"a": "x",\n "b": "y"}',
        codecs.BOM_UTF8 + b'{"a": "x",\n "b": "y"}',
        b'[{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]',
    ],
    ids=["lines", "compressed", "UTF-16", "texts by id", "texts by id after a mark", "an array"],
)
def test_files_of_answers(content: bytes) -> None:
    found = [read_given_answer(line) for line in answer_lines(content)]
    assert [(response.id, response.text) for response in found] == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize(
    "content", [gzip.compress(LINES)[:-9], LINES.decode().encode("utf-16")[:-1]], ids=["compressed", "UTF-16"]
)
def test_a_file_that_breaks_off_is_not_a_shorter_one(content: bytes) -> None:
    with pytest.raises(BadAnswer):
        answer_lines(content)


@pytest.mark.parametrize(
    ("line", "said"),
    [({"prompt": "x", "predict": "y"}, "id is missing"), ({"id": "t", "response": ["a", "b"]}, '"text" is missing')],
    ids=["no id", "two texts"],
)
def test_what_is_missing_is_named(line: dict[str, Any], said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        read(**line)
