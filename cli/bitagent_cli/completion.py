"""Completion: candidates of the last word, and the scripts that ask for them.

The scripts call `bitagent __complete WORDS...`, which speaks the protocol of kubectl's plugins: one candidate a line,
then `:` and a directive. So they stay right when verbs and options change.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SCRIPTS = {
    "bash": """\
_bitagent() {
    local found
    found=$(bitagent __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | grep -v '^:')
    mapfile -t COMPREPLY < <(compgen -W "$found" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _bitagent bitagent kubectl-bitagent
""",
    "zsh": """\
#compdef bitagent kubectl-bitagent
_bitagent() {
    local -a found
    found=("${(@f)$(bitagent __complete "${(@)words[2,CURRENT]}" 2>/dev/null | grep -v '^:')}")
    compadd -a found || _files
}
compdef _bitagent bitagent kubectl-bitagent
""",
    "fish": """\
function __bitagent_candidates
    bitagent __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null | string match -v ':*'
end
complete -c bitagent -f -a '(__bitagent_candidates)'
complete -c kubectl-bitagent -f -a '(__bitagent_candidates)'
""",
}
"""Script by shell."""

NAMES_SECONDS = 3.0
"""Longest wait for names: somebody waits at a prompt."""
_KIND_OF = {"ROUND": "er", "MODEL": "mm"}
"""Kind of the objects that a positional argument names."""


@dataclass(frozen=True)
class Found:
    """Candidates of a word."""

    words: tuple[str, ...] = ()
    kind: str = ""
    """Kind whose names are candidates as well: er, mm or val; empty: none."""
    prefix: str = ""
    """What comes before each of these names."""


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> Found:
    """Return the candidates of the last of the words, which follow the command's name. Pure."""
    *before, last = words or [""]
    verbs = _verbs(parser)
    if not before:
        return Found(tuple(_flags(parser)) if last.startswith("-") else tuple(verbs))
    command = verbs.get(before[0])
    if command is None:
        return Found()
    taking = _option(command, before[-1])
    if taking is not None and taking.nargs != 0:
        return Found(tuple(map(str, taking.choices or ())), kind="mm" if taking.dest == "model" else "")
    if last.startswith("-"):
        return Found(tuple(_flags(command)))
    return _positional(command, before[1:], last)


def _positional(command: argparse.ArgumentParser, before: Sequence[str], last: str) -> Found:
    """Return the candidates of an argument without a flag, by its place among those before it."""
    given: list[str] = []
    skip = False
    for word in before:
        option = _option(command, word)
        if skip or option is not None or word.startswith("-"):
            skip = option is not None and option.nargs != 0
            continue
        given.append(word)
    slots = [action for action in command._actions if not action.option_strings]
    if not slots:
        return Found()
    slot = slots[min(len(given), len(slots) - 1)]
    if len(given) >= len(slots) and slot.nargs != "*":
        return Found()
    if slot.choices:
        return Found(tuple(map(str, slot.choices)))
    if slot.metavar == "NAME" and given:
        return Found(kind=given[0] if given[0] in ("er", "mm", "val") else "")
    if slot.metavar == "[KIND/]NAME":
        kind = last.partition("/")[0] if "/" in last else ""
        return Found(kind=kind, prefix=f"{kind}/") if kind in ("er", "mm", "val") else Found(("er/", "mm/", "val/"))
    return Found(kind=_KIND_OF.get(str(slot.metavar), ""))


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return dict(found.choices)


def _option(command: argparse.ArgumentParser, flag: str) -> argparse.Action | None:
    return next((action for action in command._actions if flag in action.option_strings), None)


def _flags(command: argparse.ArgumentParser) -> list[str]:
    return [flag for action in command._actions for flag in action.option_strings if flag.startswith("--")]


async def names_of(kind: str, words: Sequence[str]) -> list[str]:
    """Return the names of a kind's objects in the namespace that the words name; none if it cannot be read."""
    import asyncio
    from pathlib import Path

    from bitagent_cli.connection import KINDS, Failure, connected
    from bitagent_kube.errors import ApiError

    given = {flag: _after(words, flag) for flag in ("--context", "--kubeconfig", "--namespace", "-n")}
    options = argparse.Namespace(
        context=given["--context"],
        kubeconfig=Path(given["--kubeconfig"]) if given["--kubeconfig"] else None,
        namespace=given["--namespace"] or given["-n"],
    )
    try:
        async with asyncio.timeout(NAMES_SECONDS), connected(options) as client:
            return sorted(obj["metadata"]["name"] for obj in await client.list(KINDS[kind]))
    except (ApiError, Failure, TimeoutError):
        return []


def _after(words: Sequence[str], flag: str) -> str:
    return next((value for word, value in pairwise(words) if word == flag), "")
