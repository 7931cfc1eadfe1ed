"""The reference page: a row for every field, condition and reason."""

from __future__ import annotations

import pytest

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.generate import KINDS
from bitagent_crds.reference import page


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return page(KINDS).splitlines()


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_a_row_with_its_fault(lines: list[str], reason: Reason) -> None:
    assert f"| `{reason}` | {reason.fault} | {reason.meaning} |" in lines


@pytest.mark.parametrize("condition", ConditionType)
def test_a_condition_has_a_row_with_its_kind(lines: list[str], condition: ConditionType) -> None:
    assert f"| `{condition}` | {condition.kind} | {condition.meaning} |" in lines


@pytest.mark.parametrize("field", ["`spec.source.huggingFace.repo` *", "`status.results[].reason`", "`spec.netuid` *"])
def test_a_field_has_a_row(lines: list[str], field: str) -> None:
    assert any(line.startswith(f"| {field} |") for line in lines)


def test_every_table_row_has_the_columns_of_its_head(lines: list[str]) -> None:
    columns = 0
    for line in lines:
        if not line.startswith("|"):
            columns = 0
            continue
        found = line.replace("\\|", "").count("|")
        columns = columns or found
        assert found == columns, line
