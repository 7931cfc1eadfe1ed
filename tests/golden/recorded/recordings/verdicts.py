"""Verdict files of `score`: golden rows by scorer, and answers of every syntax by prompt format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from recordings.program import GOLDEN, canonical, digest, evaluate, json_lines, write_json_lines

SCORERS = ("Bfcl", "BitAgent202411", "BitAgent202504", "ExactMatch")
FORMATS = ("Bfcl", "BitAgent", "ChatTemplate", "Hammer", "Alpaca", "Vicuna", "ChatML", "Llama2")
LANGUAGES = {"simple_java": "Java", "simple_javascript": "JavaScript"}
EXPECTS = {"irrelevance": "NoCall", "live_irrelevance": "NoCall", "live_relevance": "AnyCall"}
EVERY = 11
"""Of this many rows of the single-turn reference one is judged."""
EVERY_CONVERSATION = 7

Row = dict[str, Any]


def observe(folder: Path) -> dict[str, Any]:
    """Judge the golden rows."""
    bfcl = {case["id"]: case for case in _golden("bfcl/tasks.jsonl.gz")}
    rows = _golden("bfcl/rows.jsonl.gz")[::EVERY]
    conversations = {case["id"]: case for case in _golden("bfcl/multi_turn_tasks.jsonl.gz")}
    spoken = _golden("bfcl/multi_turn_rows.jsonl.gz")[::EVERY_CONVERSATION]
    tasks = [_task(bfcl[row["id"]], f"{row['id']}#{n}") for n, row in enumerate(rows)]
    tasks += [_conversation(conversations[row["id"]], f"{row['id']}#{n}") for n, row in enumerate(spoken)]
    texts = [row["response"] for row in [*rows, *spoken]]
    files = _written(folder / "golden", tasks, texts)
    found = {scorer: _judged(folder / f"{scorer}.jsonl", *files, "--scorer", scorer) for scorer in SCORERS}
    found["without answers"] = _judged(
        folder / "unanswered.jsonl", files[0], _some(folder / "some.jsonl", files[1]), "--scorer", "BitAgent202504"
    )
    found["Loss"] = _losses(folder / "losses", infinite=False)
    found["Loss, not all finite"] = _losses(folder / "infinite losses", infinite=True)
    answers = _written(folder / "answers", *_answers())
    for name in FORMATS:
        arguments = ("--prompt-format", name)
        found[f"answers read as {name}"] = _judged(folder / f"{name} answers.jsonl", *answers, *arguments)
    found["pairs"] = _pairs(folder, {**bfcl, **conversations}, [*rows, *spoken])
    return found


def _judged(out: Path, tasks: Path, responses: Path, *arguments: str) -> dict[str, Any]:
    """The score, and the verdicts by digest: of the whole file, and without the sentences in it."""
    given = ("--tasks", tasks, "--responses", responses, *arguments)
    outcome = json.loads(evaluate("score", *given, "--out", out, "--json"))
    findings = {finding["kind"]: finding["count"] for finding in outcome.pop("findings", ())}
    verdicts = json_lines(out)
    bare = [{key: value for key, value in verdict.items() if key != "detail"} for verdict in verdicts]
    return {
        "outcome": outcome,
        "findings": findings,
        "errors": _counts(verdict["error"] for verdict in verdicts),
        "file without details": digest(canonical(bare)),
        "file": digest(out.read_bytes()),
    }


def _pairs(folder: Path, cases: dict[str, Row], rows: list[Row]) -> dict[str, Any]:
    """Verdicts on lines that carry task and answer together."""
    lines = [{**cases[row["id"]], "id": f"{row['id']}#{n}", "response": row["response"]} for n, row in enumerate(rows)]
    tasks = {task["task"]: task for task in _golden("bitagent/tasks.jsonl.gz")}
    points = [
        {
            **{key: value for key, value in row.items() if not key.startswith("v20") and key != "task"},
            "id": f"{number}-{rules}-{default}",
            "ruleset": rules,
            "with_default": default,
            "expected": tasks[row["task"]]["expected"],
            "tools": tasks[row["task"]]["tools"],
        }
        for number, row in enumerate(_golden("bitagent/rows.jsonl.gz"))
        for rules in ("v2024_11", "v2025_04")
        for default in (True, False)
    ]
    found = {}
    for name, of in (("bfcl", lines), ("bitagent", points)):
        file, out = write_json_lines(folder / f"{name} pairs.jsonl", of), folder / f"{name} judged.jsonl"
        outcome = json.loads(evaluate("score", "--pairs", file, "--scorer", name, "--out", out, "--json"))
        found[name] = {"outcome": outcome, "file": digest(out.read_bytes())}
    return found


def _losses(folder: Path, *, infinite: bool) -> dict[str, Any]:
    """Losses of reference texts: measured, missing and, where `infinite`, not finite."""
    tasks: list[Row] = [
        {
            "id": f"text-{number}",
            "source": "texts",
            "category": f"c{number % 2}",
            "messages": [{"role": "user", "content": "Hello."}],
            "functions": [],
            "expects": "Text",
            "reference": "Hello to you.",
        }
        for number in range(40)
    ]
    responses = [
        _response(task["id"], "") | {"loss": 0.25 + (number * 37 % 101) / 40, "loss_tokens": 9}
        for number, task in enumerate(tasks)
    ]
    if infinite:
        del responses[5]["loss"], responses[11]
        responses[20]["loss"] = "Infinity"
    tasks_file = write_json_lines(folder / "tasks.jsonl", tasks)
    responses_file = write_json_lines(folder / "responses.jsonl", responses)
    return _judged(folder / "verdicts.jsonl", tasks_file, responses_file, "--scorer", "Loss", "--batches", "8")


def _answers() -> tuple[list[Row], list[str]]:
    """One call, written in every way that some prompt format reads, well and badly."""
    call, arguments = '{"name": "f", "arguments": {"a": 1, "b": "x"}}', '{\\"a\\": 1, \\"b\\": \\"x\\"}'
    openai = f'{{"id": "1", "type": "function", "function": {{"name": "f", "arguments": "{arguments}"}}}}'
    texts = [
        '[f(a=1, b="x")]', 'f(a=1, b="x")', '```[f(a=1, b="x")]```', '```python\n[f(a=1, b="x")]\n```',
        '<think>[f(a=2)]</think>[f(a=1, b="x")]', "[f(a=1, b='x'", "[]", "", "No function fits.", '[f(1, b="x")]',
        '[f(a=1, b="x"), f(a=1, b="x")]', '[f(a=1.0, b="x")]', "[f(a=True, b='X')]", "[f(a=__import__('os'), b='x')]",
        '[f(a=0+1, b="x")]', '[g.f(a=1, b="x")]', f"[{call}]", call, f"So: [{call}] it is.",
        call.replace("arguments", "parameters"),
        f"```json\n[{call}]\n```", f"{call}\n{call}", '{"name": "f"}', f"[{openai}]", f'{{"tool_calls": [{openai}]}}',
        f"<tool_call>\n{call}\n</tool_call>", f"<tool_call>{call}", f"I call <tool_call>{call}</tool_call> now",
        '{"function": "f", "params": {"a": 1, "b": "x"}}', "function: f\nparams:\n  a: 1\n  b: x\n",
        '```yaml\nfunction: f\nparams:\n  a: 1\n  b: "x"\n```', "Plan: call.\n#E1 = f[a=1, b=\"x\"]",
        "Plan: call.\n:evidence0: = f(a=1, b='x')", "Plan: ask.\n#E1 = f[anything]\nAnswer: #E1", "[" * 500, "{" * 500,
        "f(a=1, b='x'); f(a=1, b='x')", "f(a=1,\n  b='x')\n", "```tool_code\nf(a=1, b='x')\n```",
        "<tool_call></tool_call>",
    ]  # fmt: skip
    properties = {"a": {"type": "integer", "description": "A."}, "b": {"type": "string", "description": "B."}}
    function = {
        "name": "f",
        "description": "F.",
        "parameters": {"type": "dict", "properties": properties, "required": ["a", "b"]},
    }
    task = {
        "source": "answers",
        "category": "answers",
        "messages": [{"role": "user", "content": "Call f."}],
        "functions": [function],
        "expects": "Calls",
        "language": "Python",
        "ground_truth": [{"f": {"a": [1], "b": ["x"]}}],
    }
    return [{"id": f"answer-{number}", **task} for number in range(len(texts))], texts


def _task(case: Row, name: str) -> Row:
    category = case["category"]
    return {
        "id": name,
        "source": "bfcl",
        "category": category,
        "messages": case["question"][0],
        "functions": case["functions"],
        "expects": EXPECTS.get(category, "Calls"),
        "language": LANGUAGES.get(category, "Python"),
        "ground_truth": case["ground_truth"],
    }


def _conversation(case: Row, name: str) -> Row:
    return {
        "id": name,
        "source": "bfcl",
        "category": case["category"],
        "messages": case["question"][0],
        "functions": [],
        "expects": "State",
        "conversation": {
            "turns": case["question"],
            "ground_truth": case["ground_truth"],
            "classes": case["involved_classes"],
            "initial_state": case["initial_config"],
            "long_context": case["category"] == "multi_turn_long_context",
        },
    }


def _response(name: str, said: str | list[list[str]]) -> Row:
    spoken = {"text": said} if isinstance(said, str) else {"text": "", "turns": said}
    return {"id": name, **spoken, "finish_reason": "stop", "prompt_tokens": 7, "completion_tokens": 3}


def _written(folder: Path, tasks: list[Row], said: list[Any]) -> tuple[Path, Path]:
    """The files of tasks and of the answers to them."""
    responses = [_response(task["id"], text) for task, text in zip(tasks, said, strict=True)]
    return write_json_lines(folder / "tasks.jsonl", tasks), write_json_lines(folder / "responses.jsonl", responses)


def _some(path: Path, responses: Path) -> Path:
    """Two of three answers."""
    return write_json_lines(path, [row for number, row in enumerate(json_lines(responses)) if number % 3])


def _counts(names: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _golden(name: str) -> list[Row]:
    with gzip.open(GOLDEN / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
