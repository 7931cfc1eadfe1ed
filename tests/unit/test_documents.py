"""What the documents say to type: every command line of our programs parses, and marked blocks run."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.documents import DOCUMENTS, PROGRAMS, ROOT, Block, blocks, commands, commands_of

ALL = [block for document in DOCUMENTS for block in blocks(document)]
LINES = [pytest.param(words, id=f"{block.place} {' '.join(words)[:60]}") for block in ALL for words in commands(block)]
HELM = [pytest.param(words, id=f"{b.place} {' '.join(words)[:60]}") for b in ALL for words in commands_of("helm", b)]
FILES = [
    pytest.param(block, file, id=f"{block.place} {file}")
    for block in ALL
    for tool in ("helm", "kubectl")
    for words in commands_of(tool, block)
    for flag, file in pairwise(words)
    if flag in ("-f", "--filename", "--values") and "/" in file
]
LAPTOP = [
    pytest.param(list(run), id=f"{document.relative_to(ROOT)}")
    for document, run in groupby((block for block in ALL if block.group == "laptop"), key=lambda block: block.document)
]

CHARTS = ("operator", "validator", "miner")
SOURCES = frozenset({".py", ".yaml", ".tpl", ".json", ".sh", ".Dockerfile"})


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


@pytest.mark.parametrize("words", HELM)
def test_documented_values_are_those_of_a_chart(words: list[str]) -> None:
    """Of charts of this checkout; and no upgrade keeps the defaults of an older chart."""
    assert "--reuse-values" not in words, "changed defaults stay as they were: --reset-then-reuse-values"
    charts = [ROOT / word for word in words if word.startswith("charts/")]
    assert all((chart / "Chart.yaml").is_file() for chart in charts)
    values = yaml.safe_load((charts[0] / "values.yaml").read_text()) if charts else {}
    for flag, given in pairwise(words):
        if flag == "--set" and charts:
            found: Any = values
            for member in given.partition("=")[0].split("."):
                assert member in found, f"{charts[0].name} has no value {given}"
                found = found[member]


@pytest.mark.parametrize(("block", "file"), FILES)
def test_documented_files_exist(block: Block, file: str) -> None:
    """From the checkout's root, or for a document of an example from its folder."""
    assert (ROOT / file).is_file() or (block.document.parent / file).is_file()


def test_documented_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(block.place, words[0]) for block in ALL for words in commands_of("make", block)}
    inline = (
        (str(document.relative_to(ROOT)), target)
        for document in DOCUMENTS
        for target in re.findall(r"`make ([a-z0-9-]+)[ `]", document.read_text())
    )
    assert not [each for each in {*named, *inline} if each[1] not in targets]


ELSEWHERE = frozenset({"UnknownIssuer", "ReadableSpan", "UnexpectedAdmissionError"})
"""Names of other projects that nothing of ours contains."""
VALUES = [yaml.safe_load((ROOT / f"charts/bitagent-{each}/values.yaml").read_text()) for each in CHARTS]


def _names(text: str) -> Iterator[str]:
    """Yield the names in backticks that look like a reason, kind, condition, event or metric."""
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield from re.findall(r"(?<![\w./-])(?:[A-Z][a-z]+(?:[A-Z][a-z0-9]*)+|bitagent_[a-z]\w+)\b", code)


def _words(*folders: str) -> set[str]:
    """Return every word of the sources in these folders."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES)
    return {word for file in files for word in re.findall(r"\w+", file.read_text(errors="ignore"))}


def test_documented_names_are_in_the_code() -> None:
    """Reasons, kinds, conditions, events and metrics."""
    words = _words("crds", "kube", "wire", "evaluator", "operator", "validator", "miner", "leaderboard", "cli", "local")
    words |= _words("charts", "images") | ELSEWHERE
    words |= {f"bitagent_{name}" for name in re.findall(r"`bitagent_(\w+)`", (ROOT / "docs/metrics.md").read_text())}
    words |= {f"bitagent_miner_{word}{suffix}" for word in _words("miner") for suffix in ("", "_total")}
    named = ((document, name) for document in DOCUMENTS for name in _names(document.read_text()))
    assert not {(str(document), name) for document, name in named if name not in words}


def _value_exists(path: str) -> bool:
    """Whether a dotted path is a value of a chart; below one that is empty, anything may be."""
    for found in VALUES:
        for member in path.split("."):
            if not isinstance(found, dict) or not found:
                return True
            if member not in found:
                break
            found = found[member]
        else:
            return True
    return False


def test_documented_helm_values_and_fields_exist() -> None:
    """Dotted names in backticks that begin like a value are values of a chart, or fields of the API."""
    fields = {re.sub(r"_(\w)", lambda found: found[1].upper(), word) for word in _words("crds")} | {"md"}
    tops = set().union(*VALUES)
    dotted = re.compile(r"`([a-z][a-zA-Z0-9]*(?:\.[a-z][a-zA-Z0-9]*)+)`")
    pages = [d for d in DOCUMENTS if "charts" not in d.parts]  # The charts' own name values by their last members.
    named = {(str(d), n) for d in pages for n in dotted.findall(d.read_text()) if n.partition(".")[0] in tops}
    assert named
    assert not {each for each in named if not _value_exists(each[1]) and not fields >= set(each[1].split("."))}


def _steps() -> list[Any]:
    """Rows of the walks through the code: step, names, files."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    walks = text[text.index("## Walk 1") : text.index("## Permissions")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in walks.splitlines() if "`" in line]
    return [pytest.param(*row[1:], id=row[0]) for row in rows if len(row) == 3]


@pytest.mark.parametrize(("names", "files"), _steps())
def test_the_walks_name_what_exists(names: str, files: str) -> None:
    """Files are named from the root, from the evaluator's package, or from a folder that the file before them is in."""
    found: list[Path] = []
    for name in re.findall("`([^`]+)`", files):
        folders = [ROOT, ROOT / "evaluator" / "bitagent_evaluator", *(found[-1].parents if found else ())]
        path = next((folder / name for folder in folders if (folder / name).exists()), None)
        assert path is not None, f"there is no {name}"
        found.append(path)
    text = "".join(file.read_text() for path in found for file in ([path] if path.is_file() else path.rglob("*.py")))
    for name in re.findall(r"`([\w.]+)`", names):
        for part in name.split("."):
            assert re.search(rf"\b(def|class) {part}\b", text), f"{files} do not define {part}"


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
