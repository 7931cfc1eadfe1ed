"""One process with hot swap, a fresh process per model, and a fresh server per model with 5 calls in flight.

    python benchmarks/hot_swap.py [--models DIR...] [--tasks FILE] [--limit N] [--repeat N]

All three evaluate the same models on the same tasks, greedily, with the same engine arguments, in turn in every
repetition:

    swap       bitagent-eval run A B C ...             one process; models of one shape share an engine
    process    bitagent-eval run A; run B; ...         a process and an engine for each
    server     vllm serve A; 5 calls in flight; stop   as evaluators do that talk to a server

Measured is the wall time from the first command to the last one's end. For `swap` and `process` that includes the
safety checks, hashing the weights, scoring and writing results; for `server` it does not, so the ratios are
conservative. Writes hot_swap.json beside this file: the median of the repetitions, ratios against `server`, and how
many answers were the same.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import described

from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.preload import ENVIRONMENT
from bitagent_evaluator.prompts import ChatPrompt, prompt_format
from bitagent_evaluator.tasks.files import read_tasks

ROOT = Path(__file__).resolve().parents[1]
MODELS = [ROOT / "local" / "models" / f"tiny-fc-{steps}" for steps in (250, 400, 600, 1200)]
IN_FLIGHT = 5
START_SECONDS = 300
_SERVED = "model"
_FLAGS = ("dtype", "max_model_len", "block_size", "kv_cache_memory_bytes", "tensor_parallel_size", "seed")
"""Engine arguments of a result's manifest that the server gets too."""

Texts = dict[str, dict[str, str]]
"""Answers by model and task."""


@dataclass(frozen=True)
class Work:
    """What every way does."""

    models: Sequence[Path]
    tasks: Sequence[Task]
    file: Path
    """The same tasks, as a file."""
    max_tokens: int
    dtype: str


def run(work: Work, models: Sequence[Path], out: Path) -> None:
    """One command of this project."""
    options = ["--tasks", str(work.file), "--out", str(out), "--max-tokens", str(work.max_tokens)]
    options += ["--dtype", work.dtype, "--prompt-format", BuiltinPromptFormat.CHAT_TEMPLATE, "--fresh"]
    command = [sys.executable, "-m", "bitagent_evaluator.cli.app", "run", *map(str, models), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def texts(out: Path) -> dict[str, str]:
    """The answers of one model's results, by task."""
    lines = (out / "responses.jsonl").read_text().splitlines()
    return {line["id"]: line["text"] for line in map(json.loads, lines)}


def swap(work: Work, out: Path) -> Texts:
    """One process for all."""
    run(work, work.models, out)
    return {model.name: texts(out / model.name) for model in work.models}


def process(work: Work, out: Path) -> Texts:
    """One process for each."""
    for model in work.models:
        run(work, [model], out / model.name)
    return {model.name: texts(out / model.name) for model in work.models}


def server(work: Work, out: Path) -> Texts:
    """One server for each."""
    found: Texts = {}
    for model in work.models:
        arguments = json.loads((out.parent / "process" / model.name / "manifest.json").read_text())["engine"]
        found[model.name] = served(work, model, arguments)
    return found


def served(work: Work, model: Path, arguments: dict[str, Any]) -> dict[str, str]:
    """Start, ask, stop."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("vllm")), "serve", str(model), "--port", str(port)]
    command += ["--served-model-name", _SERVED, "--generation-config", "vllm"]
    for name in _FLAGS:
        if name in arguments:
            command += ["--" + name.replace("_", "-"), str(arguments[name])]
    command += ["--enforce-eager"] * bool(arguments.get("enforce_eager"))
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            wait_until_healthy(running, port, log)
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                answers = list(pool.map(lambda task: ask(port, work, task), work.tasks))
        finally:
            running.terminate()
            running.wait()
    return {task.id: answer for task, answer in zip(work.tasks, answers, strict=True)}


def free_port() -> int:
    """A free port of the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_until_healthy(running: subprocess.Popen[bytes], port: int, log: Any) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.05)  # Nothing tells when a port begins to listen.
    log.seek(0)
    sys.exit(f"the server did not start:\n{log.read().decode()[-3000:]}")


def ask(port: int, work: Work, task: Task) -> str:
    """One answer over HTTP."""
    chat = prompt_format(BuiltinPromptFormat.CHAT_TEMPLATE).build_prompt(task)
    assert isinstance(chat, ChatPrompt)
    body = {
        "model": _SERVED, "messages": chat.messages, "max_tokens": work.max_tokens, "temperature": 0,
        "chat_template_kwargs": {"tools": chat.tools},
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    return str(answer["choices"][0]["message"]["content"] or "")


WAYS: dict[str, Callable[[Work, Path], Texts]] = {"process": process, "swap": swap, "server": server}


def same(one: Texts, other: Texts) -> int:
    """How many answers two ways have in common."""
    return sum(answer == other[model].get(task) for model in one for task, answer in one[model].items())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", default=MODELS, metavar="DIR")
    parser.add_argument("--tasks", type=Path, default=ROOT / "local" / "models" / "tasks.jsonl", metavar="FILE")
    parser.add_argument("--limit", type=int, default=400, metavar="N", help="tasks (default: %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=64, metavar="N")
    parser.add_argument("--dtype", default="Auto", metavar="TYPE")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="repetitions (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"), metavar="FILE")
    options = parser.parse_args()
    tasks = read_tasks(options.tasks)[: options.limit]
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    answers: dict[str, Texts] = {}
    with tempfile.TemporaryDirectory(prefix="hot-swap-") as folder:
        file = Path(folder) / "tasks.jsonl"
        file.write_text("".join(task.model_dump_json() + "\n" for task in tasks))
        work = Work(options.models, tasks, file, options.max_tokens, options.dtype)
        run(work, work.models[:1], Path(folder) / "warm-up")  # Libraries come from the disk only once.
        for repetition in range(options.repeat):
            for name, way in WAYS.items():
                began = time.monotonic()
                answers[name] = way(work, Path(folder) / str(repetition) / name)
                seconds[name].append(time.monotonic() - began)
                print(f"{repetition + 1}/{options.repeat} {name:<8}{seconds[name][-1]:7.1f} s", flush=True)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    result = {
        "machine": described("vllm", "torch"),
        "models": [model.name for model in work.models],
        "tasks": len(tasks),
        "seconds": {name: [round(value, 1) for value in taken] for name, taken in seconds.items()},
        "median_seconds": {name: round(value, 1) for name, value in median.items()},
        "times_faster_than_server": {name: round(median["server"] / value, 2) for name, value in median.items()},
        "answers_as_in_own_process": {name: same(answers["process"], found) for name, found in answers.items()},
        "answers": len(tasks) * len(work.models),
    }
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
