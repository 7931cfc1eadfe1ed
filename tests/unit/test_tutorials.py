"""The newcomer's pages show the files that they install."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from bitagent_crds.validator import ValidatorSpec

ROOT = Path(__file__).parents[2]
VALUES = ROOT / "examples" / "newcomer" / "values.yaml"


def test_the_values_file_is_short_and_shown_as_it_is() -> None:
    text = VALUES.read_text()
    assert len(text.splitlines()) < 25
    assert textwrap.indent(text, "    ") in (ROOT / "docs" / "tutorial-validator.md").read_text()
    assert f"of {len(text.splitlines())} lines" in (ROOT / "docs" / "tutorial-validator.md").read_text()


def test_the_values_are_a_validators_spec() -> None:
    assert ValidatorSpec.model_validate(yaml.safe_load(VALUES.read_text())).netuid == 20


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_watch_is_of_one_kind(page: Path) -> None:
    """`kubectl get a,b -w` is refused: "watch is only supported on individual resources and resource collections"."""
    assert not re.findall(r"kubectl get \w+,[\w,]+[^\n`]* -w", page.read_text())
