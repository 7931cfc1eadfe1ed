"""`bitagent-eval plan`: the `tasks build` and `run` that ask a model what a validator's round asks.

From an EvalRound, or the manifest of a result, it prints both commands with every option that decides the result, or
runs them. What cannot be had here, such as a seed that is still secret, is said in comments.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.printable import escape_unprintable
from bitagent_crds.seeds import SeedError
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli.admission import admission_of, refusal_of
from bitagent_evaluator.cli.documents import DocumentError, read_document
from bitagent_evaluator.cli.plan_flags import build_words, local_files, run_words
from bitagent_evaluator.cli.plan_notes import notes_on
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.cli.round_document import Asked, Entry, asked_by
from bitagent_evaluator.cli.task_spec import DEFAULT_SEED, SpecError, parse_file_options
from bitagent_evaluator.models.preflight import MAX_BYTES
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.tasks.files import read_task_set

_DESCRIPTION = (
    "Print the `tasks build` and `run` that ask a model what a validator's round asks, or run them with --execute."
)
_EPILOG = """examples:
  kubectl get er NAME -o json | bitagent-eval plan --from-round - --model owner/name
  bitagent-eval plan --from-round er/NAME -n NAMESPACE --execute here --model ./my-model
  bitagent-eval plan --from-round https://example.org/round.yaml
  bitagent-eval plan --from-round results/manifest.json

exit codes: 0 printed, 2 wrong usage or no such document, 1 a server that does not answer; with --execute those of
`tasks build` and `run`"""
_MODEL = "MODEL"
"""Stands for a model in printed commands."""
_LINE = 100
"""Width of a printed command's lines, in columns."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitagent-eval plan",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from-round", required=True, metavar="FILE|URL|er/NAME|-",
        help="an EvalRound in YAML or JSON, or the manifest.json of a result: a file, a web address, standard input, "
        "or a round of the cluster that kubectl is set up for",
    )  # fmt: skip
    parser.add_argument("--name", metavar="NAME", help="which EvalRound, if the document has several")
    parser.add_argument("-n", "--namespace", metavar="NAME", help="namespace of er/NAME (default: kubectl's)")
    parser.add_argument(
        "--model", metavar="MODEL",
        help="the model: a folder, or owner/name[@revision]; one of the round's own gets its commit, prompt format and "
        "engine choices from there",
    )  # fmt: skip
    parser.add_argument(
        "--file", action="append", default=[], metavar="INDEX=PATH",
        help="file of the round's source number INDEX, from 0, if it is a ConfigMap's or a volume's",
    )  # fmt: skip
    parser.add_argument(
        "--rewrites",
        type=Path,
        metavar="FILE",
        help="rewrites.jsonl of the round's task set, if questions are reworded",
    )
    parser.add_argument(
        "--seed", default=DEFAULT_SEED, metavar="TEXT", help="seed if the round's is secret (default: %(default)s)"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="directory of tasks and results in printed commands (default: the round's name)"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--execute", metavar="DIR", help="run the commands, with tasks and results in DIR; without --model the first"
    )
    shown.add_argument("--json", action="store_true", help="print the commands as JSON: lists of arguments, and notes")
    return parser


@dataclass(frozen=True)
class Plan:
    """Two commands, and what there is to say about them."""

    build: tuple[str, ...]
    """Arguments of `tasks`."""
    run: tuple[str, ...]
    """Arguments of `run`."""
    tasks: str
    """Directory of the task set."""
    results: str
    notes: tuple[str, ...]
    digest: str | None
    """Digest that the task set should have; None if it is unknown, or another seed is used."""
    files: Mapping[int, Path]
    """Local files of sources, by index."""
    missing: tuple[int, ...]
    """Sources whose file was not given."""


def main(argv: list[str]) -> int:
    """Print the commands, or run them. Returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        files = parse_file_options(options.file)
        document = read_document(options.from_round, namespace=options.namespace)
        plan = plan_of(
            asked_by(document, options.from_round, name=options.name),
            model=options.model,
            out=options.execute or options.out,
            files=files,
            rewrites=options.rewrites,
            seed=options.seed,
        )
    except (DocumentError, SpecError) as error:
        return fail("plan", escape_unprintable(str(error), keep="\n"), EXIT_USAGE)
    except OSError as error:
        return fail("plan", f"{error.filename or options.model}: {error.strerror or error}", EXIT_INFRASTRUCTURE)
    except FetchError as error:
        return fail("plan", f"{error.reason}: {error.message}", EXIT_INFRASTRUCTURE)
    if options.execute is not None:
        if absent := [index for index in plan.missing if not plan.files[index].exists()]:
            note = next(note for note in plan.notes if note.startswith(f"source {absent[0]} is "))
            return fail("plan", f"--execute: {escape_unprintable(note)}", EXIT_USAGE)
        return _execute(plan, with_model=options.model is not None)
    if options.json:
        commands = [["bitagent-eval", "tasks", *plan.build], ["bitagent-eval", "run", *plan.run]]
        print_json({"commands": commands, "notes": plan.notes, "taskSetDigest": plan.digest})
    else:
        sys.stdout.write(plan_text(plan))
    return EXIT_OK


def plan_of(
    asked: Asked,
    *,
    model: str | None = None,
    out: str | None = None,
    files: dict[int, Path] | None = None,
    rewrites: Path | None = None,
    seed: str = DEFAULT_SEED,
) -> Plan:
    """Return the commands that ask `model` the same. Raises DocumentError for a seed that is not the one announced."""
    given, entry = files or {}, _own_entry(asked, model)
    published = _is_published(asked.tasks)
    local = local_files(asked.tasks, given)
    if others := given.keys() - local.keys():
        raise DocumentError(
            f"--file {min(others)}: source {min(others)} of {asked.what} is not a file: {sorted(local)} are"
        )
    folder = out or re.sub(r"[^A-Za-z0-9._-]", "-", asked.name).lstrip("-.") or "round"
    tasks, results = str(Path(folder, "tasks")), str(Path(folder, "results"))
    run = asked.run if entry is None else _with_choices(asked.run, entry)
    named = f"{entry.repo}@{entry.commit}" if entry and entry.commit and model == entry.repo else model
    return Plan(
        build=(
            "build",
            *build_words(asked.tasks, files=local, local_seed=seed),
            *(["--rewrites", str(rewrites)] if rewrites is not None else []),
            *("--out", tasks),
        ),
        run=(
            *("--model", named or _MODEL, "--tasks", tasks, "--out", results),
            *run_words(run),
            *(["--limit", str(asked.limit)] if asked.limit is not None else []),
            *(["--admission", asked.admission] if asked.admission else []),
        ),
        tasks=tasks,
        results=results,
        notes=(
            *notes_on(asked, entry, published=published, given=given, rewrites=rewrites, seed=seed),
            *_admission_notes(asked, run, model),
        ),
        digest=asked.digest if published else None,
        files=local,
        missing=tuple(index for index in local if index not in given),
    )


def _admission_notes(asked: Asked, run: RunSpec, model: str | None) -> list[str]:
    """Return whether the round admits a model that is here, and which of its own it has refused."""
    notes = [f"the round has not admitted {entry.model}: {entry.refused}" for entry in asked.entries if entry.refused]
    if not asked.admission:
        return notes
    if model is None or not Path(model).is_dir():
        notes.append(f"run refuses models that the round would: spec.admission is {asked.admission}")
        return notes
    refusal = refusal_of(Path(model), admission_of(asked.admission), run, max_bytes=MAX_BYTES)
    if refusal is None:
        notes.append(f"{model} would be admitted by spec.admission: {asked.admission}")
    else:
        notes.append(f"{model} would be refused, {refusal.reason}: {refusal.message}")
    return notes


def _is_published(tasks: Tasks) -> bool:
    """Whether the seed is known. Raises DocumentError if its secret is another one than was announced."""
    if tasks.seed_from is not None and not tasks.seed_from.revealed:
        return False
    try:
        tasks.known_seed()
    except SeedError as error:
        raise DocumentError(str(error)) from error
    return True


def _own_entry(asked: Asked, model: str | None) -> Entry | None:
    """Return what the round has frozen of the model, by repository or by the name of its MinerModel."""
    repo = (model or "").partition("@")[0]
    return next((entry for entry in asked.entries if repo and repo in (entry.repo, entry.model)), None)


def _with_choices(run: RunSpec, entry: Entry) -> RunSpec:
    chosen = entry.prompt_format or run.prompt_format
    return run.model_copy(update={"prompt_format": chosen, "engine": entry.engine})


def plan_text(plan: Plan) -> str:
    """Return the commands for a shell, with notes as comments. No text of the document can leave its place."""
    lines = [f"# {escape_unprintable(note)}" for note in plan.notes]
    if plan.digest is not None:
        lines.append(f"# the round's task set has the digest {plan.digest}; tasks build shows yours")
    report = ("report", plan.results, "--tasks", plan.tasks, "--out", str(Path(plan.results).parent / "report.html"))
    for words in (("tasks", *plan.build), ("run", *plan.run), report):
        lines += _command_lines(("bitagent-eval", *words))
    return "\n".join(lines) + "\n"


def _command_lines(words: Sequence[str]) -> list[str]:
    """Return a command on lines of some width; an option and its value stay together."""
    quoted = [shlex.quote(escape_unprintable(word)) for word in words]
    groups: list[str] = []
    for word, text in zip(words, quoted, strict=True):
        starts = word.startswith("-") or not groups or not groups[-1].startswith("--") or " " in groups[-1]
        if starts:
            groups.append(text)
        else:
            groups[-1] += f" {text}"
    lines, line = [], ""
    for group in groups:
        if line and len(line) + 1 + len(group) > _LINE:
            lines.append(f"{line} \\")
            line = f"    {group}"
        else:
            line = f"{line} {group}" if line else group
    return [*lines, line]


def _execute(plan: Plan, *, with_model: bool) -> int:
    """Build the tasks and run the model. Returns the exit code of the first command that fails."""
    from bitagent_evaluator.cli import run, tasks

    for note in plan.notes:
        sys.stderr.write(f"bitagent-eval plan: note: {escape_unprintable(note)}\n")
    code = tasks.main(list(plan.build))
    if code != EXIT_OK:
        return code
    _compare_digests(plan)
    if not with_model:
        sys.stderr.write("bitagent-eval plan: without --model only the tasks are built\n")
        return code
    return run.main(list(plan.run))


def _compare_digests(plan: Plan) -> None:
    """Say whether the task set is that of the round, where its digest is known."""
    if plan.digest is None:
        return
    built = read_task_set(Path(plan.tasks))[0].digest
    verdict = "that of the round" if built == plan.digest else f"another one than the round's, {plan.digest}"
    sys.stderr.write(f"bitagent-eval plan: the task set is {verdict}\n")
