"""The newcomer's pages show the files that they install."""

from __future__ import annotations

import textwrap
from pathlib import Path

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
