"""What the documents say to type: every command line of our programs parses, and marked blocks run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from tests.documents import DOCUMENTS, PROGRAMS, ROOT, Block, blocks, commands

if TYPE_CHECKING:
    from pathlib import Path

ALL = [block for document in DOCUMENTS for block in blocks(document)]
LINES = [pytest.param(words, id=f"{block.place} {' '.join(words)[:60]}") for block in ALL for words in commands(block)]
LAPTOP = [
    pytest.param(list(run), id=f"{document.relative_to(ROOT)}")
    for document, run in groupby((block for block in ALL if block.group == "laptop"), key=lambda block: block.document)
]


class Parsed(BaseException):
    """The command line was understood."""


@pytest.fixture
def parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each program end when it has parsed its command line."""
    parse = argparse.ArgumentParser.parse_args

    def parsed(self: argparse.ArgumentParser, *given: Any, **options: Any) -> None:
        parse(self, *given, **options)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)


@pytest.mark.usefixtures("parsing")
@pytest.mark.parametrize("words", LINES)
def test_documented_commands_parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = entry_points(group="console_scripts", name=words[0])
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(Parsed):
        entry.load()()


def test_all_programs_are_documented() -> None:
    assert {words[0] for block in ALL for words in commands(block)} | {"bitagent"} == PROGRAMS


@pytest.mark.engine
@pytest.mark.parametrize("run", LAPTOP)
def test_marked_blocks_run(run: list[Block], tmp_path: Path) -> None:
    """In a folder with the checkout's files; the environment is there already."""
    for name in ("local", "examples", "charts", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = "".join(block.text for block in run).replace("make env && . .venv/bin/activate\n", "")
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("/tmp/", f"{tmp_path}/")],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
