"""`bitagent-eval tasks build|show|diff`: build a task set, show one, compare two."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bitagent_crds.alterations import Alteration
from bitagent_crds.evaluation import Thinking
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_evaluator.cli import task_view
from bitagent_evaluator.cli.console import add_quiet, progress_console, progress_on, show
from bitagent_evaluator.cli.names import did_you_mean, member_of
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.cli.task_spec import SpecError, add_source_flags, files_of, spec_of
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import TaskSetError, compare_task_sets, read_task_set

EPILOG = """examples:
  bitagent-eval tasks build --bfcl simple_python,multiple --count 200 --seed demo --out tasks/
  bitagent-eval tasks build --jsonl my-tasks.jsonl --count 50 --out tasks/
  bitagent-eval tasks build --spec round.yaml --file 1=my-tasks.jsonl --out tasks/
  bitagent-eval tasks build --bfcl multiple --alter function-mask --alter irrelevance:percent=25 --out tasks/
  bitagent-eval tasks build --bfcl multiple --alter rewrite:url=http://localhost:8000/v1,model=NAME --out tasks/
  bitagent-eval tasks build --hub OWNER/glaive --rows Glaive \\
    --hub OWNER/calls@v2:test --columns question=query,functions=tools,answers=answers --out tasks/
  bitagent-eval tasks build --stream wandb:ENTITY/PROJECT --newest 400 \\
    --columns question=prompt,reference=response --count 400 --out samples/
  bitagent-eval tasks show tasks/ --limit 5
  bitagent-eval tasks show tasks/ --id simple_python_12 --model ./my-model
  bitagent-eval tasks diff before/ after/

a line of a --jsonl file (every argument lists its allowed values; "" among them makes it optional):
  {"id": "sum-1", "category": "sums", "messages": [{"role": "user", "content": "What is 1 + 2?"}],
   "functions": [{"name": "add", "description": "Adds.", "parameters": {"type": "dict",
     "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}}],
   "ground_truth": [{"add": {"a": [1], "b": [2]}}]}
where no function fits: "expects": "NoCall" and no ground_truth

environment: HF_ENDPOINT and HF_TOKEN are the hub and its token; SOURCE_0_KEY is a token or API key for the first
source alone, and so on"""

_RESUMES = "the same command resumes from the answers that arrived"


def main(argv: list[str]) -> int:
    """Build, show or compare task sets. Returns the exit code.

    0 done, 2 wrong usage, 78 the spec cannot be met, 1 a file cannot be written or an endpoint cannot be used.
    """
    args = tasks_parser().parse_args(argv)
    actions = {"build": _build, "show": _show, "diff": _diff}
    return actions[args.action](args)


def _build(args: argparse.Namespace) -> int:
    console = progress_console(quiet=args.quiet)
    try:
        spec = spec_of(args)
        files = files_of(args, spec)
    except SpecError as error:
        return fail("tasks build", str(error), EXIT_USAGE)
    try:
        with progress_on(console) as progress:
            progress.start_phase("building the task set")
            manifest = build_task_set(
                spec, files=files, out=args.out, environment=os.environ, rewrites=args.rewrites, progress=progress
            )
    except TaskSetError as error:
        return fail("tasks build", str(error), EXIT_MODEL_FAULT)
    except InfrastructureFault as fault:
        return fail("tasks build", f"{fault.message}; {_RESUMES}", EXIT_INFRASTRUCTURE)
    except KeyboardInterrupt:
        return fail("tasks build", f"stopped; {_RESUMES}", EXIT_INFRASTRUCTURE)
    except OSError as error:
        return fail("tasks build", f"cannot write {args.out}: {error}", EXIT_INFRASTRUCTURE)
    if args.json:
        print_json(manifest.model_dump(mode="json"))
    else:
        show(task_view.manifest_panel(args.out, manifest))
    return EXIT_OK


def _show(args: argparse.Namespace) -> int:
    try:
        manifest, tasks = read_task_set(args.directory)
    except TaskSetError as error:
        return fail("tasks show", str(error), EXIT_USAGE)
    chosen = [task for task in tasks if args.id in (None, task.id)][: args.limit if args.id is None else None]
    if args.id is not None and not chosen:
        return fail(
            "tasks show",
            f"{args.directory} has no task {args.id!r}{did_you_mean(args.id, (task.id for task in tasks))}",
            EXIT_USAGE,
        )
    if args.model is not None:
        from bitagent_evaluator.cli import task_prompt  # which takes longer to import than a task set to be shown

        return task_prompt.show_prompt(args, chosen)
    if args.json:
        dumped = [task.model_dump(mode="json") for task in chosen]
        print_json({"manifest": manifest.model_dump(mode="json"), "tasks": dumped})
    elif args.id is not None:
        show(task_view.task_panel(chosen[0]))
    else:
        show(task_view.manifest_panel(args.directory, manifest), task_view.task_table(chosen, total=len(tasks)))
    return EXIT_OK


def _diff(args: argparse.Namespace) -> int:
    try:
        before, after = (read_task_set(directory)[1] for directory in (args.a, args.b))
    except TaskSetError as error:
        return fail("tasks diff", str(error), EXIT_USAGE)
    found = compare_task_sets(before, after)
    if args.json:
        print_json(found.to_json())
    else:
        show(*task_view.difference_tables(found, names=(str(args.a), str(args.b)), limit=args.limit))
    return EXIT_OK


def tasks_parser() -> argparse.ArgumentParser:
    """Return the parser of build, show and diff."""
    parser = argparse.ArgumentParser(
        prog="bitagent-eval tasks",
        description="Build, show and compare task sets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="build|show|diff")
    build = actions.add_parser(
        "build",
        help="draw tasks from sources and write tasks.jsonl and manifest.json",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [field.replace("_", "-") for field in Alteration.model_fields]
    build.add_argument("--spec", type=Path, metavar="FILE", help="YAML or JSON: an EvalRound, or its spec.tasks alone")
    build.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="INDEX=PATH",
        help="file of the spec's jsonl source number INDEX, from 0",
    )
    add_source_flags(build)
    build.add_argument(
        "--alter",
        action="append",
        default=[],
        metavar="NAME[:KEY=VALUE,...]",
        help=f"change the drawn tasks, in the order given: {', '.join(names)}",
    )
    build.add_argument(
        "--rewrites",
        type=Path,
        metavar="FILE",
        help="reuse the answers of another build's rewriter: its rewrites.jsonl (that in --out is always reused)",
    )
    build.add_argument("--count", type=int, metavar="N", help="number of tasks (default: the spec's, else 100)")
    seed = build.add_mutually_exclusive_group()
    seed.add_argument("--seed", metavar="TEXT", help="seed of every random choice (default: the spec's, else 0)")
    seed.add_argument(
        "--seed-from",
        metavar="BLOCKHASH:SECRET",
        help="seed of a validator's round: its tasks.seedFrom.blockHash and .secret, in hex",
    )
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to write to")
    build.add_argument("--json", action="store_true", help="print the manifest as JSON")
    add_quiet(build)
    show = actions.add_parser("show", help="show a task set")
    show.add_argument("directory", type=Path, metavar="DIR")
    show.add_argument("--limit", type=int, default=20, metavar="N", help="tasks to list (default 20)")
    show.add_argument("--id", metavar="TASK", help="show one task in full")
    show.add_argument(
        "--model", type=Path, metavar="MODEL",
        help="with --id: also the prompt as this model (a folder, or owner/name[@revision]) gets it, with its special "
        "tokens",
    )  # fmt: skip
    show.add_argument(
        "--prompt-format", default=BuiltinPromptFormat.AUTO.value, metavar="FORMAT",
        help="with --model: format of the prompt, as of run (default: %(default)s)",
    )  # fmt: skip
    show.add_argument(
        "--thinking", type=member_of(Thinking), default=Thinking.TEMPLATE, metavar="HOW",
        help=f"with --model: the switch of thinking in its template: {', '.join(Thinking)} (default: %(default)s)",
    )  # fmt: skip
    show.add_argument("--json", action="store_true", help="print manifest and listed tasks as JSON")
    diff = actions.add_parser(
        "diff", help="show which tasks only one of two sets has, which differ, and what was altered"
    )
    diff.add_argument("a", type=Path, metavar="A", help="directory of a task set")
    diff.add_argument("b", type=Path, metavar="B", help="directory of another")
    diff.add_argument("--limit", type=int, default=20, metavar="N", help="tasks to list (default 20)")
    diff.add_argument("--json", action="store_true", help="print all differences as JSON")
    return parser
