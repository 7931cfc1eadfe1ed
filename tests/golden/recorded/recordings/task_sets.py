"""Task sets: all sources, all row formats, all alterations, by the digests of what `tasks build` writes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from recordings.loopback import Body, Loopback, loopback, number_of
from recordings.program import DATASETS, MODELS, canonical, digest, evaluate, json_lines, settings, write_json_lines

SINGLE_TURN = (
    "simple_python,simple_java,simple_javascript,multiple,parallel,parallel_multiple,irrelevance,live_simple,live_multiple,"
    "live_parallel,live_parallel_multiple,live_irrelevance,live_relevance"
)
MULTI_TURN = "multi_turn_base,multi_turn_miss_func,multi_turn_miss_param,multi_turn_long_context"
MIXED = "simple_python,simple_java,multiple,parallel,live_simple,irrelevance,live_relevance,multi_turn_base"
CALLS = "id=id,question=query,functions=tools,answers=answers"
TEXTS = "question=prompt,reference=response"

Expected = dict[str, dict[str, Any]]


def observe(folder: Path) -> Expected:
    """Build every task set below `folder`; what is the same on every machine of each, by name."""
    with loopback() as site, settings(HF_ENDPOINT=site.url):
        _fill(site)
        files = _files(folder / "files")
        found = {}
        for name, arguments in _sets(site, files).items():
            evaluate("tasks", "build", *arguments, "--out", folder / name, "--quiet", "--json")
            found[name] = observed(folder / name, site)
        evaluate(
            "tasks", "build", *_sets(site, files)["rewritten"], "--out", folder / "rewritten again",
            "--rewrites", folder / "rewritten" / "rewrites.jsonl", "--quiet",
        )  # fmt: skip
        asked = len(site.asked)
        evaluate("tasks", "build", *_sets(site, files)["rewritten"], "--out", folder / "rewritten", "--quiet")
        found["rewritten again"] = observed(folder / "rewritten again", site) | {"asked anew": len(site.asked) - asked}
    shown = json.loads(evaluate("tasks", "show", folder / "all alterations", "--limit", 3, "--json"))
    found["shown"] = {"tasks": [task["id"] for task in shown["tasks"]], "digest": digest(canonical(shown["tasks"]))}
    difference = json.loads(evaluate("tasks", "diff", folder / "as published", folder / "masks", "--json"))
    found["compared"] = {"same": difference["same"], "digest": digest(canonical(difference))}
    return found


def observed(directory: Path, site: Loopback) -> dict[str, Any]:
    """What is recorded of a task set. The server's port and the version of the program are left out."""
    text = (directory / "manifest.json").read_text().replace(site.url, "http://server")
    manifest = json.loads(text)
    content = (directory / "tasks.jsonl").read_bytes().replace(site.url.encode(), b"http://server")
    del manifest["builder"]
    kept = directory / "rewrites.jsonl"
    return {
        "digest": manifest["digest"],
        "tasks.jsonl": digest(content),
        "rewrites.jsonl": digest(kept.read_bytes()) if kept.exists() else None,
        "files": sorted(path.name for path in directory.iterdir()),
        "first": [task["id"] for task in json_lines(directory / "tasks.jsonl")[:3]],
        "count": manifest["count"],
        "categories": manifest["categories"],
        "sources": [
            {key: source.get(key) for key in ("source", "version", "count", "skipped")}
            for source in manifest["sources"]
        ],
        "alterations": [
            {key: made.get(key) for key in ("name", "applied", "skipped", "version")}
            for made in manifest["alterations"]
        ],
        "manifest": digest(canonical(manifest)),
    }


def _sets(site: Loopback, files: dict[str, Path]) -> dict[str, Sequence[object]]:
    """Arguments of `tasks build`, by the name of the set."""
    rewriter = f"rewrite:url={site.url}/v1,model=rewriter,tries=3"
    masks = ("--alter", "function-mask", "--alter", "parameter-mask:percent=70", "--alter", "default-value-mask")
    mixed = ("--bfcl", MIXED, "--weight", 2, "--jsonl", files["tasks"])
    return {
        "single turn": ("--bfcl", SINGLE_TURN, "--count", 160, "--seed", "one"),
        "multi turn": ("--bfcl", MULTI_TURN, "--count", 24, "--seed", "two"),
        "everything of BFCL": ("--bfcl", "all", "--count", 4000, "--seed", "three"),
        "tasks": (
            "--jsonl", files["tasks"], "--jsonl", files["benchmark"], "--weight", 3, "--count", 350, "--seed", "four",
        ),
        "rows": (
            "--jsonl", files["glaive"], "--rows", "Glaive",
            "--jsonl", files["bitagent"], "--rows", "BitAgent",
            "--jsonl", files["calls"], "--columns", CALLS,
            "--jsonl", files["messages"],
            "--columns", "messages=talk.messages,category=kind,functions=tools,answers=answers",
            "--count", 96, "--seed", "five",
        ),
        "texts": ("--jsonl", files["texts"], "--columns", TEXTS, "--count", 20, "--seed", "six"),
        "hub": (
            "--hub", "samples/glaive@v1", "--rows", "Glaive",
            "--hub", "samples/bitagent", "--rows", "BitAgent",
            "--hub", "samples/calls:test", "--columns", CALLS,
            "--hub", "samples/calls", "--config", "default", "--columns", CALLS, "--weight", 2,
            "--hub", "samples/table", "--columns", CALLS,
            "--count", 90, "--seed", "seven",
        ),
        "url": (
            "--url", f"{site.url}/tasks.jsonl", "--digest", digest(site.files["/tasks.jsonl"]),
            "--count", 50, "--seed", "eight",
        ),
        "stream": (
            "--stream", f"{site.url}/texts.jsonl", "--newest", 15, "--columns", TEXTS, "--count", 12, "--seed", "nine",
        ),
        "Weights & Biases": (
            "--stream", "wandb:entity/project", "--endpoint", site.url, "--newest", 25, "--columns", TEXTS,
            "--count", 25, "--seed", "ten",
        ),
        "spec": ("--spec", files["spec"], "--file", f"1={files['tasks']}"),
        "as published": (*mixed, "--count", 150, "--seed", "eleven"),
        "tool shuffle": (*mixed, "--alter", "tool-shuffle:percent=60", "--count", 150, "--seed", "eleven"),
        "distractor tools": (
            *mixed, "--alter", "distractor-tools:minimum=1,maximum=3", "--count", 150, "--seed", "eleven",
        ),
        "irrelevance": (*mixed, "--alter", "irrelevance:percent=50", "--count", 150, "--seed", "eleven"),
        "masks": (*mixed, *masks, "--count", 150, "--seed", "eleven"),
        "merge": (*mixed, "--alter", "merge:percent=50", "--count", 150, "--seed", "eleven"),
        "rewritten": (*mixed, "--alter", rewriter, "--count", 40, "--seed", "twelve"),
        "all alterations": (
            "--bfcl", MIXED, "--jsonl", files["tasks"], "--jsonl", files["glaive"], "--rows", "Glaive",
            "--alter", f"{rewriter},percent=50", "--alter", "merge", "--alter", "distractor-tools:percent=40", *masks,
            "--alter", "irrelevance:percent=20", "--alter", "tool-shuffle", "--count", 80, "--seed", "thirteen",
        ),
    }  # fmt: skip


def _files(folder: Path) -> dict[str, Path]:
    """Local files of all row formats, by name; some rows are of no use."""
    heldout = json_lines(MODELS / "heldout.jsonl")
    messages = [
        {
            "kind": f"kind-{number % 3}",
            "talk": {"messages": [{"role": "system", "content": "Be brief."}, *row["messages"]]},
            "tools": [{"type": "function", "function": tool} for tool in row["tools"]],
            "answers": [] if number % 4 else [{"name": row["tools"][0]["name"], "arguments": {"n": number}}],
        }
        for number, row in enumerate(heldout[100:130])
    ]
    calls = [_call_row(row, number) for number, row in enumerate(heldout[:30])]
    broken: list[dict[str, Any]] = [{}, {"query": 7, "tools": "[", "answers": None}, {**calls[0], "id": ""}]
    spec = {
        "kind": "EvalRound",
        "spec": {
            "tasks": {
                "sources": [
                    {"bfcl": {"categories": ["simple_python", "multi_turn_base"]}, "weight": 2},
                    {"jsonl": {"configMap": {"name": "tasks", "key": "tasks.jsonl"}}},
                ],
                "alterations": [{"toolShuffle": {}}, {"functionMask": {"percent": 50}}, {"merge": {}}],
                "count": 30,
                "seed": "of the spec",
            }
        },
    }
    folder.mkdir(parents=True)
    (folder / "round.yaml").write_text(yaml.safe_dump(spec))
    return {
        "tasks": MODELS / "tasks.jsonl",
        "benchmark": MODELS / "benchmark.jsonl",
        "glaive": write_json_lines(folder / "glaive.jsonl", [*_glaive(), {}, {"system": 1, "chat": "USER: Hello."}]),
        "bitagent": write_json_lines(folder / "bitagent.jsonl", [*_bitagent(), {}, {"conversation": [], "tools": []}]),
        "calls": write_json_lines(folder / "calls.jsonl", [*calls, *broken]),
        "messages": write_json_lines(folder / "messages.jsonl", messages),
        "texts": DATASETS / "answers" / "train.jsonl",
        "spec": folder / "round.yaml",
    }


def _call_row(row: dict[str, Any], number: int) -> dict[str, Any]:
    """A row of question, functions and calls as JSON text."""
    name = row["tools"][0]["name"]
    arguments = dict.fromkeys(row["tools"][0]["parameters"]["required"], number)
    return {
        "id": f"row-{number}",
        "query": row["messages"][-1]["content"],
        "tools": json.dumps(row["tools"]),
        "answers": json.dumps([{"name": name, "arguments": arguments}]),
    }


def _glaive() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((DATASETS / "glaive-style" / "train.json").read_bytes())
    return rows


def _bitagent() -> list[dict[str, Any]]:
    return json_lines(DATASETS / "bitagent-style" / "data" / "train.jsonl")


def _fill(site: Loopback) -> None:
    """Put files, datasets, samples and a rewriter on the server."""
    texts = (DATASETS / "answers" / "train.jsonl").read_bytes()
    calls = DATASETS / "calls"
    table = io.StringIO()
    writer = csv.DictWriter(table, ["id", "query", "tools", "answers"])
    writer.writeheader()
    writer.writerows(_call_row(row, number) for number, row in enumerate(json_lines(MODELS / "heldout.jsonl")[40:70]))
    site.files = {"/tasks.jsonl": (MODELS / "tasks.jsonl").read_bytes(), "/texts.jsonl": texts}
    site.datasets = {
        "samples/glaive": {"train.json": (DATASETS / "glaive-style" / "train.json").read_bytes()},
        "samples/bitagent": {
            "data/train.jsonl": (DATASETS / "bitagent-style" / "data" / "train.jsonl").read_bytes(),
        },
        "samples/calls": {
            str(path.relative_to(calls)): path.read_bytes() for path in sorted(calls.rglob("*")) if path.is_file()
        },
        "samples/table": {"train.csv": table.getvalue().encode()},
    }
    site.history = [
        {"_step": step, **({"loss": 0.5} if step % 5 == 0 else json.loads(line))}
        for step, line in enumerate(texts.splitlines())
    ]
    site.reply = rewording


def rewording(body: Body) -> Body | int:
    """A rewriter that mostly rewords well, and sometimes in each of the ways in which a rewording is of no use."""
    question = body["messages"][-1]["content"]
    manner = number_of(f"{question} {body.get('seed')}", 10)
    if manner == 0:
        return 400
    if manner == 1:
        return {"content": question}
    if manner == 2:
        return {"content": "Bananas are yellow."}
    if manner == 3:
        return {"content": f"Please help me out here: {question}", "finish_reason": "length"}
    if manner == 4:
        return {"content": f'<think>They want something.</think>"I would like to know this, please: {question}"'}
    if manner == 5:
        return {"content": "".join(letter for letter in question if not letter.isdigit())}
    first, _, rest = question.partition(" ")
    return {
        "content": f"I need some help with the following. {rest} That is: {first}, as I said, if you would be so kind."
    }
