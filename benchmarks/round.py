"""A round's evaluations on one device: packed, a Job for each model, and a fresh server for each model.

    python benchmarks/round.py [--models N] [--limit TASKS] [--max-tokens N] [--out FILE]

All three evaluate the same models of one architecture on the same tasks, greedily, one after the other:

    packed     one Job with `packing`: the engine's process takes one model's weights after the other's
    job        one Job for each model, as without packing
    server     vllm serve A; 5 calls in flight; stop; vllm serve B ... as evaluators do that talk to a server

Jobs are run as in their pods, by `bitagent-eval job` with the documents that the operator would make. Kubernetes is
left out, which adds the start of a pod to each Job of `job`, and to the one of `packed`. The times of both include
checks of the files, scoring and results; that of `server` does not, so the ratios are conservative.

Models are the tiny ones of local/models and means of two of them, so that there are enough of one shape. Writes
results/round.json: wall times, ratios against `server` and `job`, the share of the time in which answers were
generated, and how many answers were the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hot_swap import MODELS, Texts, Work, same, served, texts
from machine import described
from safetensors.torch import load_file, save_file

from bitagent_crds.jobs import EvaluateJob as Evaluation
from bitagent_crds.jobs import PackJob, PackMember, document
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.models.digests import weights_digest
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import read_tasks

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = "model.safetensors"


def models(folder: Path, count: int) -> list[Path]:
    """Copy the tiny models, and make means of pairs of them, up to `count`."""
    found = [Path(shutil.copytree(path, folder / path.name)) for path in MODELS[:count]]
    for number, (one, other) in enumerate(itertools.islice(itertools.combinations(MODELS, 2), count - len(found))):
        path = Path(shutil.copytree(one, folder / f"mean-{number}"))
        a, b = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
        mean = {name: ((a[name].float() + b[name].float()) / 2).to(a[name].dtype) for name in a}
        save_file(mean, path / WEIGHTS, {"format": "pt"})
        found.append(path)
    return found


def evaluation(model: Path, tasks: Path, digest: str, out: Path, max_tokens: int) -> Evaluation:
    """The document's part for one model."""
    return Evaluation.model_validate(
        {
            "modelDir": str(model),
            "taskSetDir": str(tasks),
            "outDir": str(out / model.name),
            "repo": f"bench/{model.name}",
            "commit": "a" * 40,
            "weightsDigest": weights_digest(model),
            "taskSetDigest": digest,
            "promptFormat": BuiltinPromptFormat.CHAT_TEMPLATE,
            "maxTokens": max_tokens,
        }
    )


def job(folder: Path, name: str, content: str) -> None:
    """Run one Job, as in its pod."""
    file = folder / f"{name}.json"
    file.write_text(content)
    command = [sys.executable, "-m", "bitagent_evaluator.cli.app", "job", "--file", str(file)]
    done = subprocess.run([*command, "--termination-log", str(folder / name)], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}:\n{done.stderr[-3000:].decode()}")


def packed(evaluations: Sequence[Evaluation], folder: Path) -> None:
    """One Job for all of them."""
    members = [PackMember(key=f"k{n}", job=each) for n, each in enumerate(evaluations)]
    outcomes = folder / "outcomes"
    outcomes.mkdir()
    job(folder, "pack", document(PackJob(members=members, outcomes_dir=str(outcomes), member_seconds=3600)))


def one_by_one(evaluations: Sequence[Evaluation], folder: Path) -> None:
    """A Job for each."""
    for each in evaluations:
        job(folder, Path(each.model_dir).name, document(each))


def generating(out: Path) -> float:
    """Seconds in which answers were generated, by the summaries."""
    summaries = [json.loads(path.read_text()) for path in sorted(out.glob("*/summary.json"))]
    return sum(float(summary["seconds"]["generate"]) for summary in summaries)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=8, metavar="N", help="at most 10 (default: %(default)s)")
    parser.add_argument("--tasks", type=Path, default=ROOT / "local" / "models" / "tasks.jsonl", metavar="FILE")
    parser.add_argument("--limit", type=int, default=400, metavar="N", help="tasks (default: %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=64, metavar="N")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "round.json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="round-") as name:
        folder = Path(name)
        chosen = models(folder / "models", options.models)
        source = {"jsonl": {"configMap": {"name": "x", "key": "k"}}}
        spec = Tasks.model_validate({"sources": [source], "count": options.limit, "seed": "1"})
        manifest = build_task_set(spec, files={0: options.tasks}, out=folder / "tasks")
        asked: list[Task] = read_tasks(folder / "tasks")
        seconds: dict[str, float] = {}
        generated: dict[str, float] = {}
        answers: dict[str, Texts] = {}
        ways: dict[str, Callable[[Sequence[Evaluation], Path], None]] = {"packed": packed, "job": one_by_one}
        for way, run in {"warm-up": one_by_one, **ways}.items():  # libraries come from the disk only once
            out = folder / way
            out.mkdir()
            some = chosen[:1] if way == "warm-up" else chosen
            evaluations = [
                evaluation(model, folder / "tasks", manifest.digest, out, options.max_tokens) for model in some
            ]
            began = time.monotonic()
            run(evaluations, out)
            if way != "warm-up":
                seconds[way], generated[way] = time.monotonic() - began, generating(out)
                answers[way] = {model.name: texts(out / model.name) for model in chosen}
                print(f"{way:<8}{seconds[way]:7.1f} s, of which {generated[way]:.1f} s generate", flush=True)
        work = Work(chosen, asked, folder / "tasks" / "tasks.jsonl", options.max_tokens, "Auto")
        began, answers["server"] = time.monotonic(), {}
        for model in chosen:
            arguments: dict[str, Any] = json.loads((folder / "job" / model.name / "manifest.json").read_text())[
                "engine"
            ]
            answers["server"][model.name] = served(work, model, arguments)
        seconds["server"] = time.monotonic() - began
        print(f"{'server':<8}{seconds['server']:7.1f} s", flush=True)
    result = {
        "machine": described("vllm", "torch"),
        "models": len(chosen),
        "tasks": len(asked),
        "seconds": {way: round(value, 1) for way, value in seconds.items()},
        "times_faster_than_server": {way: round(seconds["server"] / value, 2) for way, value in seconds.items()},
        "times_faster_than_job": {way: round(seconds["job"] / value, 2) for way, value in seconds.items()},
        "share_of_time_that_generates": {way: round(generated[way] / seconds[way], 3) for way in generated},
        "answers_as_in_own_job": {way: same(answers["job"], found) for way, found in answers.items()},
        "answers": len(asked) * len(chosen),
    }
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
