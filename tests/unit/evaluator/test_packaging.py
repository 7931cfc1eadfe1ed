"""The packages that images install are those that the code imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = [*(ROOT / "evaluator" / "bitagent_evaluator").rglob("*.py"), *(ROOT / "crds" / "bitagent_crds").rglob("*.py")]
OWN = {"bitagent_crds", "bitagent_evaluator"}
OF_THE_ENGINE = {"torch", "vllm"}
"""What only the engines' extras install; imported where an engine runs."""
PART_OF_PYDANTIC = {"pydantic_core"}
OF_THE_VALIDATOR = {"bittensor"}
"""`leaderboard verify` checks signatures where it is installed, and says so where it is not."""

KNOWN = OWN | OF_THE_ENGINE | PART_OF_PYDANTIC | OF_THE_VALIDATOR


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> set[str]:
    """Distributions that the project and its extras `evaluator` and `benchmark` name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["evaluator"], *extras["benchmark"]]
    return {normal(match[0]) for line in lines if (match := re.match(r"[\w.-]+", line))} - {"bitagent"}


@pytest.mark.parametrize("lock", ["evaluator.txt", "evaluator-cpu.txt", "evaluator-gpu.txt", "dev.txt"])
def test_every_distribution_is_locked(lock: str) -> None:
    locked = {normal(name) for name in re.findall(r"(?m)^([\w.-]+)==", (ROOT / "requirements" / lock).read_text())}
    assert required() - locked == set()


def imported() -> dict[str, str]:
    """Top-level packages that the code imports, none of the standard library's, each with one file that does."""
    found: dict[str, str] = {}
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | KNOWN}


def test_every_import_is_required() -> None:
    """A package must not be installed only as a dependency of another one."""
    owners = packages_distributions()
    unnamed = {
        package: path
        for package, path in imported().items()
        if not required() & {normal(owner) for owner in owners.get(package, [])}
    }
    assert unnamed == {}
