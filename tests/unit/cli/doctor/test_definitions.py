"""Definitions of a cluster against those of this version."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bitagent_cli.doctor.definitions import KINDS, PLURALS, definition_name, fields, outermost, own_fields
from bitagent_crds.generate import CRD_FOLDER
from bitagent_crds.generate import KINDS as GENERATED

ROOT = Path(__file__).parents[4]


def test_all_kinds() -> None:
    assert set(KINDS) == set(GENERATED)


@pytest.mark.parametrize("plural", PLURALS)
def test_the_committed_definitions_are_those_of_this_version(plural: str) -> None:
    definition = yaml.safe_load((ROOT / CRD_FOLDER / f"bitagent.io_{plural}.yaml").read_text())
    assert definition["metadata"]["name"] == definition_name(plural)
    assert fields(definition) == own_fields(plural)
    assert "status.conditions" in own_fields(plural)


def test_lists_and_maps_are_looked_into() -> None:
    assert {"spec.tasks.sources.jsonl", "status.results.score"} <= own_fields("evalrounds")


def test_another_version_has_no_fields() -> None:
    assert fields({"spec": {"versions": [{"name": "v2", "served": True}]}}) == frozenset()


def test_outermost() -> None:
    assert outermost(frozenset({"a.b", "a.b.c", "d"})) == ["a.b", "d"]
