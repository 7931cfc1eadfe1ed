"""Entry point: collects the verbs. A verb's module is imported only when it is used, so that `--help` is instant."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import cast

VERBS: dict[str, tuple[str, str]] = {
    "tasks": ("bitagent_evaluator.cli.tasks", "build and show task sets"),
    "run": ("bitagent_evaluator.cli.run", "evaluate a model on a task set"),
    "score": ("bitagent_evaluator.cli.score", "judge answers that exist already"),
    "check": ("bitagent_evaluator.cli.check", "say what a validator would say about a model's files"),
    "compare": ("bitagent_evaluator.cli.compare", "compare two results task by task"),
    "reproduce": ("bitagent_evaluator.cli.reproduce", "do a result again from its manifest and compare every verdict"),
    "report": ("bitagent_evaluator.cli.report", "write results as one HTML page"),
    "job": ("bitagent_evaluator.cli.job", "do what a Job document says (used in pods)"),
}


def usage() -> str:
    """The overview that `bitagent-eval --help` prints."""
    lines = [f"  {verb:<11}{text}" for verb, (_, text) in VERBS.items()]
    exits = "exit codes: 0 done, 2 wrong usage, 78 the model's fault, anything else infrastructure (of reproduce: 3 verdicts differ)"
    return "\n".join(
        ["usage: bitagent-eval VERB [OPTIONS]      (bitagent-eval VERB --help tells more)", "", *lines, "", exits, ""]
    )


def main(argv: list[str] | None = None) -> int:
    """Run one verb; its module's `main(argv) -> exit code` does the work."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if args else 2
    if args[0] not in VERBS:
        sys.stderr.write(f"bitagent-eval: no verb {args[0]!r}\n\n{usage()}")
        return 2
    try:
        verb = cast(Callable[[list[str]], int], importlib.import_module(VERBS[args[0]][0]).main)
        return verb(args[1:])
    except KeyboardInterrupt:
        sys.stderr.write(f"bitagent-eval {args[0]}: stopped\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
