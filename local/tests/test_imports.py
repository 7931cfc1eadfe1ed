"""The local world never imports the product, and the product never imports the local world."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitagent_local.cluster.host import SOURCES

ROOT = SOURCES.parent
PACKAGES = sorted(
    path
    for path in ROOT.glob("*/bitagent_*")
    if path.is_dir() and path.parent != SOURCES and (path / "__init__.py").exists()
)


def imported(package: Path) -> Iterator[tuple[Path, str]]:
    """Files of a package with the top-level packages that each imports."""
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.append(node.module)
            for name in names:
                yield path, name.partition(".")[0]


def test_the_product_is_found() -> None:
    assert {"bitagent_crds", "bitagent_evaluator", "bitagent_operator", "bitagent_validator"} <= {
        package.name for package in PACKAGES
    }


def test_the_local_world_imports_no_product() -> None:
    product = {package.name for package in PACKAGES}
    assert [(path, name) for path, name in imported(SOURCES / "bitagent_local") if name in product] == []


@pytest.mark.parametrize("package", PACKAGES, ids=[package.name for package in PACKAGES])
def test_the_product_imports_no_local_world(package: Path) -> None:
    assert [path for path, name in imported(package) if name == "bitagent_local"] == []
