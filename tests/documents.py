"""Command lines in the project's documents, and the blocks of them that are marked to be run.

A block is marked by a comment on the line before it, `<!-- run: GROUP -->`. The blocks of a document that are in one
group run one after the other in one shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "charts").rglob("*.md")),
]
PROGRAMS = {
    "bitagent-eval",
    "bitagent-operator",
    "bitagent-validator",
    "bitagent-miner",
    "bitagent-leaderboard",
    "bitagent",
    "kubectl-bitagent",
}
_MARK = re.compile(r"<!-- run: ([a-z-]+) -->")
_FENCE = re.compile(r"^```(\S*)")
_SHELL = {"", "sh", "bash", "console", "shell"}


@dataclass(frozen=True)
class Block:
    """A block of shell commands."""

    document: Path
    line: int
    """Number of its first line, from 1."""
    text: str
    group: str = ""
    """Name of the group in which it is run; empty: it is not."""

    @property
    def place(self) -> str:
        """Where it is, for the name of a test."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> Iterator[Block]:
    """Yield the indented blocks and the fenced blocks of shell commands of a document."""
    lines = document.read_text().splitlines()
    group, number = "", 0
    while number < len(lines):
        line = lines[number]
        if found := _MARK.fullmatch(line.strip()):
            group = found[1]
        elif fence := _FENCE.match(line):
            end = next(n for n in range(number + 1, len(lines)) if lines[n].startswith("```"))
            if fence[1] in _SHELL:
                yield Block(document, number + 2, "\n".join(lines[number + 1 : end]) + "\n", group)
            group, number = "", end
        elif line.startswith("    ") and (number == 0 or not lines[number - 1].strip() or group):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            yield Block(document, number + 1, "\n".join(text[4:] for text in lines[number:end]).rstrip() + "\n", group)
            group, number = "", end - 1
        elif line.strip():
            group = ""
        number += 1


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command line of one of the project's programs in a block."""
    for line in _lines(block):
        for words in _parts(line):
            if "--" in words and words[0] == "kubectl" and words[1] == "exec":
                words = words[words.index("--") + 1 :]
            while words and (re.fullmatch(r"[A-Z_]+=\S*", words[0]) or words[0] in ("sudo", "exec")):
                words = words[1:]
            if words[:2] == ["kubectl", "bitagent"]:
                words = ["kubectl-bitagent", *words[2:]]
            if words and Path(words[0]).name in PROGRAMS:
                yield [Path(words[0]).name, *words[1:]]


def commands_of(tool: str, block: Block) -> Iterator[list[str]]:
    """Yield the words after `tool`, a program of others such as helm, of each of its command lines in a block."""
    for line in _lines(block):
        yield from (words[1:] for words in _parts(line) if words[0] == tool)


def _lines(block: Block) -> Iterator[str]:
    for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
        yield line.removeprefix("$ ")


def _parts(line: str) -> Iterator[list[str]]:
    """Yield the words of each simple command of a line; nothing for a line that is not of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.wordchars += ":,{}[]!@%^$"
    words: list[str] = []
    skip = False
    try:
        tokens = list(lexer)
    except ValueError:  # an open quote, as in the middle of a document that the shell reads
        return
    for token in tokens:
        if token in (";", "&&", "||", "|", "&"):
            yield from [words] if words else []
            words, skip = [], False
        elif set(token) <= set("<>&"):
            skip = True  # the next word is a file
        elif skip:
            skip = False
        else:
            words.append(token)
    yield from [words] if words else []
