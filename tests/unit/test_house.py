"""Rules of the checkout that no other tool holds: tests mirror the source, documents name what exists, plain words."""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = {
    name: ROOT / name / f"bitagent_{name}"
    for name in ("crds", "kube", "wire", "evaluator", "operator", "validator", "miner", "leaderboard", "cli")
}
IMAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "images" / "images.yaml").read_text())
OTHER_TESTS = {"test_hostile_inputs", "test_old_results", "test_packaging", "test_properties", "test_process"}
"""Tests of more than one module."""
GUIDES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "security").glob("*.md")),
]
WORDS = re.compile(
    r"\b(told|wants|wanted|nobody|anew|strangers?|goes on|stands? in|takes? over|taken over"
    r"|(?<!there\s)is no(?! longer))\b",
    re.I,
)
"""Words that CONTRIBUTING.md excludes."""
ALLOWED_WORDS = {ROOT / "CONTRIBUTING.md", Path(__file__)}


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_mirror_the_source(package: str) -> None:
    tests = ROOT / "tests" / "unit" / package
    unmatched = []
    for test in tests.rglob("test_*.py"):
        folder = PACKAGES[package] / test.parent.relative_to(tests)
        modules = [folder.name, *(module.stem.strip("_") for module in folder.glob("*.py"))]
        subject = test.stem.removeprefix("test_")
        if test.stem not in OTHER_TESTS and not any(subject.startswith(module) for module in modules):
            unmatched.append(str(test.relative_to(ROOT)))
    assert not unmatched


def _named_modules(init: Path) -> Iterator[str]:
    """Yield the modules and folders that the tree in a package's docstring names."""
    text = ast.get_docstring(ast.parse(init.read_text())) or ""
    for line in re.findall(r"^    ([a-z_0-9/]+(?:, [a-z_0-9/]+)*)  ", text, re.MULTILINE):
        yield from (name.strip("/") for name in line.split(", "))


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_of_packages_name_their_modules(package: str) -> None:
    wrong = [
        f"{init.parent.relative_to(ROOT)}: {name}"
        for init in PACKAGES[package].rglob("__init__.py")
        for name in _named_modules(init)
        if not (init.parent / name).is_dir() and not (init.parent / f"{name}.py").exists()
    ]
    assert not wrong


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_links_of_guides_lead_somewhere(guide: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", guide.read_text())
    assert not [link for link in links if not (guide.parent / link).exists()]


def _walk_rows() -> Iterator[tuple[str, str]]:
    """Yield the functions and files of each row of the walks in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for line in text[text.index("## Walk 1") : text.index("## Permissions")].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] not in ("step", "---"):
            yield cells[1], cells[2]


@pytest.mark.parametrize(("functions", "files"), list(_walk_rows()))
def test_walks_name_functions_of_their_files(functions: str, files: str) -> None:
    folder, defined = ROOT, set()
    for name in re.findall(r"`([^`]+)`", files):
        path = next(
            (
                base / name
                for base in (ROOT, folder, *PACKAGES.values(), PACKAGES["evaluator"])
                if (base / name).exists()
            ),
            None,
        )
        assert path is not None, name
        folder = path.parent
        for module in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    defined.add(node.name)
    named = {name.split(".")[-1] for name in re.findall(r"`([^`]+)`", functions)}
    assert named <= defined | {path.stem for path in folder.glob("*.py")}


def test_steps_of_extensions_name_files_that_exist() -> None:
    text = (ROOT / "docs" / "extending.md").read_text()
    names = re.findall(r"`([a-z_/]+/[a-z_]+\.py|[a-z_/]+/)`", text)
    bases = (ROOT, *PACKAGES.values())
    assert not [name for name in names if not any((base / name).exists() for base in bases)]


def test_files_that_take_long_exist() -> None:
    seconds = json.loads((ROOT / "tests" / "seconds.json").read_text())
    assert not [name for name in seconds if not (ROOT / name).exists()], "run the tests with --record-seconds"


def test_tests_that_share_a_cluster_keep_their_order(request: pytest.FixtureRequest) -> None:
    """One of them uninstalls the chart: sorted by its seconds, it would come before those that need the cluster."""
    conftest = request.config.pluginmanager.getplugin(str(ROOT / "tests" / "conftest.py"))
    seconds = {"tests/e2e/test_zz_chart.py": 9.0, "tests/unit/test_house.py": 8.0}
    assert conftest.sorted_by_seconds(seconds) == {"tests/unit/test_house.py": 8.0}


def test_names_of_tests_hold_no_long_bytes(request: pytest.FixtureRequest) -> None:
    """Compressed bytes hold the time of their making: two workers would collect tests of different names."""
    conftest = request.config.pluginmanager.getplugin(str(ROOT / "tests" / "conftest.py"))
    assert conftest.pytest_make_parametrize_id(gzip.compress(b"line"), "content") == "content"
    assert conftest.pytest_make_parametrize_id(b"line", "content") is None


def test_a_test_leaves_the_root_logger_as_it_was(request: pytest.FixtureRequest) -> None:
    """Otherwise what a later test reads in the log would depend on the order of tests."""
    conftest, root = request.config.pluginmanager.getplugin(str(ROOT / "tests" / "conftest.py")), logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    around = conftest.pytest_runtest_protocol()
    next(around)
    root.setLevel(level + 1)
    root.handlers.clear()
    with pytest.raises(StopIteration):
        around.send(None)
    assert (root.level, root.handlers) == (level, handlers)


LIMIT = re.compile(
    r"(?:asyncio\.timeout\(|asyncio\.wait_for\(.*, |\btimeout=|\btime\.\w+\(\) - \w+ < )(\d+(?:\.\d+)?)\b"
)
"""A limit of time in a test, in seconds."""
ENDS_A_HANG = 20.0


def test_limits_of_time_are_for_what_hangs() -> None:
    """Ten seconds pass on a busy machine. Not meant: limits that the test awaits, probes, and the test's own clock."""
    meant = ("TimeoutError", "asyncio.wait(", "create_connection(")
    found = []
    for path in (*(ROOT / "tests").rglob("*.py"), *(ROOT / "local" / "tests").rglob("*.py")):
        lines = path.read_text().splitlines()
        for number, (before, line) in enumerate(itertools.pairwise(["", *lines]), start=1):
            short = [match for match in LIMIT.findall(line) if float(match) < ENDS_A_HANG]
            if short and not any(word in before + line for word in meant):
                found.append((path, f"{path.relative_to(ROOT)}:{number}: {line.strip()}"))
    assert not [line for path, line in found if "VirtualTimePolicy" not in path.read_text()]


def test_words_are_plain() -> None:
    files = [
        *(path for package in PACKAGES.values() for path in package.rglob("*.py")),
        *GUIDES,
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs" / "decisions").glob("*.md"),
        *(ROOT / "benchmarks").glob("**/*.py"),
        *(ROOT / "charts").glob("*/values.yaml"),
        *(ROOT / "charts").glob("*/README.md"),
        *(ROOT / "charts").glob("*/templates/**/*.*"),
        *(ROOT / "examples").glob("**/*.*"),
    ]
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in files
        if path not in ALLOWED_WORDS
        for match in WORDS.finditer(path.read_text())
    }
    assert not found


def _imported_packages(package: str) -> set[str]:
    """Return the project's packages that a package imports, through others too."""
    found, left = set(), {package}
    while left:
        current = left.pop()
        found.add(current)
        text = "\n".join(path.read_text() for path in PACKAGES[current].rglob("*.py"))
        left |= {name for name in re.findall(r"(?:from|import) bitagent_([a-z]+)", text) if name in PACKAGES} - found
    return found


@pytest.mark.parametrize(
    "image", yaml.safe_load((ROOT / "images" / "images.yaml").read_text()).items(), ids=lambda pair: pair[0]
)
def test_images_have_the_packages_that_theirs_import(image: tuple[str, dict[str, Any]]) -> None:
    """In the files that the image is built from, in its Dockerfile, and in what reaches the builder at all."""
    _, recipe = image
    own = {name for name in PACKAGES if f"{name}/bitagent_{name}" in recipe["context"]}
    needed = {each for name in own for each in _imported_packages(name)}
    assert own == needed
    dockerfile, ignored = (ROOT / recipe["dockerfile"]).read_text(), (ROOT / ".dockerignore").read_text()
    for name in own:
        assert f"{name}/bitagent_{name}" in dockerfile and f"!{name}/bitagent_{name}\n" in ignored
