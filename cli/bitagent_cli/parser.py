"""Verbs and options. Imports the standard library alone: `--help` and completion load nothing else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

KINDS = ("er", "mm", "val")
"""Short names of the kinds: EvalRound, MinerModel, Validator."""
_LONG_NAMES = {"evalround": "er", "minermodel": "mm", "validator": "val"}
LISTS = ("wide", "name", "json", "yaml")
DOCUMENTS = ("json", "yaml")
FETCH_BYTES = 20 * 2**30


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    """Done; of doctor: nothing is wrong."""
    FAILED = 1
    """It could not be done: no cluster, no such object, no right; the message says which."""
    USAGE = 2
    """Wrong options."""
    NEGATIVE = 3
    """Done, with the answer "no": a model was refused, a round has failed, a doctor found something wrong."""


@dataclass(frozen=True)
class Verb:
    """One verb."""

    help: str
    """What it does, in a line."""
    module: str
    """Module below `verbs` whose `run(options, terminal)` does it."""
    declare: Callable[[argparse.ArgumentParser], None]
    """Adds its own arguments."""
    details: str = ""
    """What its help says beside."""


def _submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="REPO[@REV]", help="repository on the hub, and a branch, tag or commit (main)")
    parser.add_argument("--name", help="name of the MinerModel (default: from the repository's)")
    parser.add_argument("--hotkey", metavar="SS58", help="account of the miner; without one the model earns nothing")
    parser.add_argument(
        "--commit-block", type=int, metavar="N", help="block of the miner's commitment; REV is a commit"
    )
    parser.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="label; may be repeated; submitting again without it removes it",
    )
    parser.add_argument("--prompt-format", metavar="NAME", help="prompt format, where the round leaves it open")
    parser.add_argument("--dry-run", action="store_true", help="let the API server check it, and store nothing")
    _add_wait(parser, "until the model is fetched or refused")
    _add_output(parser, ("name", *DOCUMENTS))


def _models(parser: argparse.ArgumentParser) -> None:
    _add_list(parser, "MODEL")


def _rounds(parser: argparse.ArgumentParser) -> None:
    _add_list(parser, "ROUND")


def _add_list(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("names", nargs="*", metavar=what, help="only these")
    parser.add_argument("-l", "--selector", default="", metavar="LABELS", help="only those with these labels")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    _add_output(parser, LISTS)


def _leaderboard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", nargs="?", metavar="ROUND", help="the round (default: the last one that completed)")
    parser.add_argument("--competition", metavar="ID", help="of the rounds of this competition the last one")
    _add_output(parser, ("wide", *DOCUMENTS))


def _kind(word: str) -> str:
    """Return the short name of the kind that kubectl knows by this word; the word itself if there is none."""
    singular = word.lower().removesuffix(".bitagent.io").removesuffix("s")
    return _LONG_NAMES.get(singular, word)


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", type=_kind, choices=KINDS, help="kind: EvalRound, MinerModel or Validator")
    parser.add_argument("name", metavar="NAME", help="its name")
    parser.add_argument("--all", action="store_true", help="every moment of every model, also of large rounds")
    _add_output(parser, DOCUMENTS)


def _logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="[KIND/]NAME", help="the object, such as er/demo-tools-0; KIND: er, mm, val")
    parser.add_argument("-f", "--follow", action="store_true", help="continue, also with pods that start later")
    parser.add_argument("--tail", type=int, default=-1, metavar="N", help="only the last lines of each container (all)")
    parser.add_argument("--since", default="", metavar="TIME", help="only what is younger, such as 90s, 10m, 2h")
    parser.add_argument("--model", default="", metavar="NAME", help="of a round: only pods that work for this model")


def _retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", metavar="ROUND", help="the round")
    parser.add_argument("--force", action="store_true", help="also if it has not failed: it counts when it fails")
    _add_wait(parser, "until the round ends")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", metavar="ROUND", help="the round")
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="only this model; may be repeated")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page (default: ROUND.html)")
    _add_reading(parser)


def _fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", metavar="ROUND", help="the round")
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="where the files go; it must not exist, or be empty"
    )
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="only this model; may be repeated")
    parser.add_argument("--no-tasks", action="store_true", help="without the task set")
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", default="", help="image of the pod that reads (default: the evaluator of the round)")
    parser.add_argument(
        "--max-bytes", type=int, default=FETCH_BYTES, metavar="N", help="most that is written here (%(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="SECONDS", help="longest wait for the pod (%(default)g)"
    )


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--probe", action="store_true", help="try it with pods: are policies enforced, is the hub there"
    )
    parser.add_argument("--image", default="", help="image of these pods, with python3 (default: the operator's)")
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="longest wait for a pod (%(default)g)"
    )
    _add_output(parser, DOCUMENTS)


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def _add_wait(parser: argparse.ArgumentParser, until: str) -> None:
    parser.add_argument("--wait", action="store_true", help=f"wait {until}")
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS", help="longest wait (%(default)g)")


def _add_output(parser: argparse.ArgumentParser, choices: tuple[str, ...]) -> None:
    parser.add_argument(
        "-o", "--output", choices=choices, metavar="FORMAT", help=f"{', '.join(choices)} (default: a text for people)"
    )


VERBS: dict[str, Verb] = {
    "submit": Verb("submit a model of a hub", "submit", _submit),
    "models": Verb("list models", "lists", _models),
    "rounds": Verb("list rounds", "lists", _rounds),
    "leaderboard": Verb("show the ranking of a round", "leaderboard", _leaderboard),
    "explain": Verb("tell what happened to an object, where the time went, and what to do", "explain", _explain),
    "logs": Verb("show the logs of the pods that belong to an object", "logs", _logs),
    "retry": Verb("take a failed round up again", "retry", _retry),
    "report": Verb(
        "write the report of a round as one HTML page", "files", _report, "The page is made in the cluster."
    ),
    "fetch": Verb(
        "copy the files of a round from the artifact volume",
        "files",
        _fetch,
        "DIR then has round.json, tasks/ and results/KEY/. What is archived in S3 alone is not fetched: the message "
        "says where it is.",
    ),
    "doctor": Verb("look for what is wrong with a cluster", "doctor", _doctor, "It changes nothing without --probe."),
    "completion": Verb("print the completion script of a shell", "completion", _completion),
}
WITHOUT_CLUSTER = frozenset({"completion"})

_DESCRIPTION = "Models, rounds and validators of a cluster. As `kubectl bitagent` it takes the same verbs and options."
_EXITS = (
    'exit codes: 0 done; 1 could not be done, the message says why; 2 wrong usage; 3 done, with the answer "no": a '
    "model was refused, a round has failed, a doctor found something wrong"
)


class _Parser(argparse.ArgumentParser):
    """A parser that names the nearest verb to one that does not exist."""

    def error(self, message: str) -> NoReturn:
        """End with wrong usage."""
        if found := re.match(r"argument VERB: invalid choice: '([^']*)'", message):
            from difflib import get_close_matches  # only a mistake needs it

            near = get_close_matches(found[1], VERBS, n=1)
            message = f"there is no verb {found[1]}" + (
                f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(VERBS)}"
            )
        super().error(message)


def build(prog: str = "bitagent") -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(prog=prog, description=_DESCRIPTION, epilog=_EXITS)
    parser.add_argument("--version", action="store_true", help="print the version, and exit")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=argparse.ArgumentParser)
    for name, verb in VERBS.items():
        text = f"{verb.help[0].upper()}{verb.help[1:]}. {verb.details}".strip()
        command = commands.add_parser(name, help=verb.help, description=text)
        verb.declare(command)
        if name not in WITHOUT_CLUSTER:
            _add_cluster(command)
    return parser


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cluster")
    group.add_argument("-n", "--namespace", default="", help="namespace (default: that of the kubeconfig's context)")
    group.add_argument("--context", default="", help="context of the kubeconfig (default: the current one)")
    group.add_argument("--kubeconfig", type=Path, help="file (default: KUBECONFIG, or ~/.kube/config)")
