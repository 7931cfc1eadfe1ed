"""The command lines: verbs, options, choices and defaults, without the sentences of the help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPORT = """
import argparse, contextlib, io, json, socket, sys
from importlib.metadata import entry_points

class Seen(BaseException):
    pass

def seen(self, args=None, namespace=None):
    raise Seen(self)

argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_known_args = seen

def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value).replace(socket.gethostname(), "HOSTNAME")

def described(parser):
    options, arguments, verbs, groups = {}, [], {}, []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            verbs = {name: described(of) for name, of in action.choices.items()}
            continue
        facts = {
            "choices": plain(sorted(map(str, action.choices))) if action.choices is not None else None,
            "default": plain(action.default) if action.default != argparse.SUPPRESS else None,
            "nargs": action.nargs,
            "required": action.required,
        }
        facts = {name: value for name, value in facts.items() if not (value is None or value is False or value == [])}
        if action.option_strings:
            options[" ".join(action.option_strings)] = facts
        else:
            arguments.append({"name": action.metavar or action.dest, **facts})
    for group in parser._mutually_exclusive_groups:
        groups.append([" ".join(action.option_strings) for action in group._group_actions])
    found = {"options": options, "arguments": arguments, "verbs": verbs, "exclusive": groups}
    return {name: value for name, value in found.items() if value}

(entry,) = entry_points(group="console_scripts", name=sys.argv[1])
main = entry.load()
found = {}
for line in json.loads(sys.argv[2]):
    sys.argv = ["program", *line]
    try:
        main()
    except Seen as parser:
        found[" ".join(line)] = described(parser.args[0])
print(json.dumps(found))
"""
"""Runs in a process of its own: it takes the parser out of the program before it parses."""
SETTINGS = {"XDG_CACHE_HOME": "/cache", "HOME": "/home", "PATH": "/usr/bin", "COLUMNS": "200"}


def observe(folder: Path) -> dict[str, Any]:
    """The parsers of all programs, by program and verb."""
    verbs = _verbs()
    return {
        "verbs": verbs,
        "bitagent-eval": _parsers("bitagent-eval", [*([verb] for verb in verbs), ["run", "--endpoint", "URL"]]),
        "bitagent-operator": _parsers("bitagent-operator", [[]]),
        "bitagent-validator": _parsers("bitagent-validator", [[]]),
    }


def _verbs() -> list[str]:
    """The verbs that `bitagent-eval --help` lists: words that begin an indented line."""
    program = Path(sys.executable).with_name("bitagent-eval")
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.split()]


def _parsers(program: str, lines: list[list[str]]) -> dict[str, Any]:
    command = [sys.executable, "-c", REPORT, program, json.dumps(lines)]
    done = subprocess.run(command, env={**_search_path(), **SETTINGS}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{program} {lines}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if len(found) != len(lines):
        raise AssertionError(f"{program}: a verb parses no command line: {sorted(found)} of {lines}")
    return found


def _search_path() -> dict[str, str]:
    return {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
