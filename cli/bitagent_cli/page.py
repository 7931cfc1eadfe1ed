"""docs/commands.md, which follows from the parser: `python -m bitagent_cli.page ROOT`; with `--check` it compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bitagent_cli.parser import build

PAGE = "docs/commands.md"
BEGIN = "<!-- written from the parser by `python -m bitagent_cli.page .`: do not edit below -->"
_CLUSTER = ("namespace", "context", "kubeconfig")


def reference() -> str:
    """Return the part of the page that follows from the parser: each verb with its arguments."""
    parser = build()
    commands = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction)).choices
    parts = [
        f"\n### {name}\n\n{_sentence(command)}\n\n{_usage(command)}{_arguments(command)}"
        for name, command in commands.items()
    ]
    return "".join(parts)


def _sentence(command: argparse.ArgumentParser) -> str:
    return str(command.description)


def _usage(command: argparse.ArgumentParser) -> str:
    """Return how the verb is written, without options; a block of text, because its words are not to be typed."""
    written = " ".join(_written(a) for a in _positionals(command))
    return f"```text\n{command.prog} {written}".rstrip() + "\n```\n"


def _positionals(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in command._actions if not action.option_strings]


def _written(action: argparse.Action) -> str:
    name = "|".join(map(str, action.choices)) if action.choices else str(action.metavar)
    return f"[{name}...]" if action.nargs == "*" else f"[{name}]" if action.nargs == "?" else name


def _arguments(command: argparse.ArgumentParser) -> str:
    """Return a table of the arguments; those of the cluster are the same for all verbs and are left out."""
    shown = [a for a in command._actions if a.dest not in ("help", *_CLUSTER)]
    if not shown:
        return ""
    rows = "".join(f"| {_name(action)} | {_meaning(command, action)} |\n" for action in shown)
    return f"\n| argument | meaning |\n|---|---|\n{rows}"


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{'|'.join(map(str, action.choices)) if action.choices else action.metavar}`".replace("|", "\\|")
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"`{', '.join(action.option_strings)}{value}`"


def _meaning(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    return str(command._get_formatter()._expand_help(action))


def page(current: str) -> str:
    """Return the page: its own head, and the reference."""
    head, mark, _ = current.partition(BEGIN)
    if not mark:
        raise ValueError(f"{PAGE} has no line {BEGIN!r}")
    return f"{head}{BEGIN}\n{reference()}"


def main(argv: list[str] | None = None) -> int:
    """Write or compare the page; return 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="root of the repository")
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(argv)
    path: Path = options.root / PAGE
    text = page(path.read_text())
    if options.check:
        if path.read_text() == text:
            return 0
        sys.stderr.write(f"{PAGE}: does not follow from the parser; run 'python -m bitagent_cli.page .' and commit\n")
        return 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
