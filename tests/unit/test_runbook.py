"""docs/runbook.md names tests, reasons and metrics that exist, and every fault of the infrastructure.

The tests that docs/validating.md names exist, too.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bitagent_crds.conditions import Fault, Reason

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text()
REASONS = TEXT.index("## Reasons")
MATRIX = TEXT.index("## Fault matrix")
VALIDATING = (ROOT / "docs" / "validating.md").read_text()
TROUBLES = VALIDATING.index("## Troubles of validators elsewhere")
NAMED = re.compile(r"`([a-z0-9_/]+\.py::test_\w+)`")


@pytest.mark.parametrize("name", sorted({*NAMED.findall(TEXT[MATRIX:]), *NAMED.findall(VALIDATING[TROUBLES:])}))
def test_tests_of_the_fault_matrix_exist(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_fault_has_a_test() -> None:
    lines = TEXT[MATRIX:].splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| fault |")]
    assert len(rows) > 40
    assert not [row for row in rows if "::test_" not in row]


def test_every_fault_of_the_infrastructure_has_an_entry() -> None:
    named = set(re.findall(r"`([A-Z]\w+)`", TEXT[REASONS:MATRIX]))
    assert not {reason.value for reason in Reason if reason.fault is Fault.INFRASTRUCTURE} - named


def test_reasons_exist() -> None:
    cells = [line.split("|")[1] for line in TEXT[REASONS:MATRIX].splitlines() if line.startswith("| `")]
    cells += [line.split("|")[2] for line in TEXT[MATRIX:].splitlines() if line.startswith("| ")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert not named - {reason.value for reason in Reason}
