"""Prompts of all formats, in conversations too: requests to an endpoint, and token ids for local models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recordings.loopback import Body, loopback, number_of
from recordings.program import MODELS, canonical, digest, evaluate, json_lines
from recordings.rendering import token_ids
from recordings.verdicts import FORMATS

SINGLE_TURN = (
    "--bfcl", "simple_python,simple_java,simple_javascript,parallel_multiple,live_multiple,irrelevance,live_relevance",
    "--jsonl", MODELS / "tasks.jsonl",
    "--count", 24, "--seed", "prompts",
)  # fmt: skip
CONVERSATIONS = (
    "--bfcl", "multi_turn_base,multi_turn_miss_func", "--count", 2, "--seed", "prompts",
)  # fmt: skip
Task = dict[str, Any]
TOKENIZERS = ("tiny-fc-1200", "tiny-sense")


def observe(folder: Path) -> dict[str, Any]:
    """Ask a model every task in every format."""
    evaluate("tasks", "build", *SINGLE_TURN, "--out", folder / "tasks", "--quiet")
    evaluate("tasks", "build", *CONVERSATIONS, "--out", folder / "conversations", "--quiet")
    tasks = json_lines(folder / "tasks" / "tasks.jsonl")
    for conversation in json_lines(folder / "conversations" / "tasks.jsonl"):
        tasks += histories(conversation)
    found: dict[str, Any] = {"tasks": [task["id"] for task in tasks]}
    for name in (*FORMATS, "Auto"):
        found[f"requests in {name}"] = _requests(folder, name)
    found["requests in ChatTemplate, calls as text"] = _requests(folder, "ChatTemplate", "--tool-choice", "none")
    for model in TOKENIZERS:
        for name, prompts in token_ids(MODELS / model, FORMATS, tasks).items():
            found[f"{name} for {model}"] = {
                "tokens": [len(prompt) for prompt in prompts],
                "refused": sorted({prompt["refused"] for prompt in prompts if isinstance(prompt, dict)}),
                "digest": digest(canonical(prompts)),
            }
    return found


def histories(task: Task) -> list[Task]:
    """A conversation at its beginning and in its second turn, with results in messages of the tool and of the user."""
    first, second, *_ = task["conversation"]["turns"]
    results = [{"role": "tool", "name": "pwd()", "content": '{"current_working_directory": "/a b"}'}]
    called, done = {"role": "assistant", "content": "[pwd()]"}, {"role": "assistant", "content": "Done."}
    results_message = {"role": "user", "content": repr(results)}
    return [
        task,
        {**task, "messages": [*first, called, *results, done, *second]},
        {**task, "messages": [*first, called, results_message, done, *second]},
    ]


def _requests(folder: Path, name: str, *arguments: object) -> dict[str, Any]:
    """What the endpoint was asked, and what was made of its answers."""
    out = folder / " ".join(["results", name, *map(str, arguments)])
    with loopback() as site:
        site.reply = answer
        given = ("--endpoint", f"{site.url}/v1", "--model-name", "model", "--tasks", folder / "tasks")
        outcome = json.loads(
            evaluate("run", *given, "--prompt-format", name, *arguments, "--out", out, "--json", "--quiet")
        )
    asked = sorted(((path, body) for path, body in site.asked), key=canonical)
    return {
        "paths": sorted({path for path, _ in asked}),
        "count": len(asked),
        "shortest": min(asked, key=lambda request: (len(canonical(request)), canonical(request))),
        "digest": digest(canonical(asked)),
        "responses": _responses(out),
        "categories": outcome["categories"],
        "prompt format": outcome["promptFormat"],
    }


def _responses(out: Path) -> str:
    """The digest of the answers, in the order of the tasks."""
    return digest((out / "responses.jsonl").read_bytes())


def answer(body: Body) -> Body:
    """A model that writes calls as text, returns parsed ones, or does neither."""
    if "prompt" in body:
        return {"content": _said(body["prompt"])}
    last = body["messages"][-1]
    if body.get("tools") and body.get("tool_choice", "auto") == "auto" and number_of(json.dumps(last), 3):
        function = body["tools"][0]["function"]
        arguments = dict.fromkeys(function["parameters"].get("required", []), "x")
        call = {"name": function["name"], "arguments": json.dumps(arguments)}
        return {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": call}]}
    return {"content": _said(json.dumps(body["messages"]))}


def _said(prompt: str) -> str:
    return ("[pwd()]", "[ls(a=True), cd(folder='x')]", "Done.", "[calculate(x=1)]")[number_of(prompt, 4)]
