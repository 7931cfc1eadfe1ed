"""Docstrings of members, and schemas that are described by them."""

from __future__ import annotations

from enum import StrEnum

import pytest
from pydantic import BaseModel, Field

from bitagent_crds.docstrings import DescribedJsonSchema, member_docs
from bitagent_crds.schema import FileModel, Model


class Base(Model):
    """A model."""

    first_member: int = 0
    """Inherited,
    in two lines."""
    other: int = 0
    """Of the base."""


class Derived(Base):
    """A model of a model."""

    other: int = 1
    """Of the derived one."""
    part: Base | None = None
    """A reference."""
    plain: int = 0
    given: int = Field(default=0, description="Given by hand.")
    """Not this."""


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    """Warm."""
    BLUE = "blue"


def test_members_have_their_own_docstrings_and_those_of_their_bases() -> None:
    found = member_docs(Derived)
    assert found["first_member"] == "Inherited,\nin two lines."
    assert found["other"] == "Of the derived one."
    assert "plain" not in found
    assert member_docs(Colour) == {"RED": "Warm."}


def test_schemas_are_described_by_alias() -> None:
    properties = Derived.model_json_schema(schema_generator=DescribedJsonSchema)["properties"]
    described = {name: each.get("description") for name, each in properties.items()}
    assert described == {
        "firstMember": "Inherited,\nin two lines.",
        "other": "Of the derived one.",
        "part": "A reference.",
        "plain": None,
        "given": "Given by hand.",
    }


@pytest.mark.parametrize("base", [Model, FileModel], ids=["of objects", "of files"])
def test_classes_are_imported_without_reading_their_source(base: type[BaseModel]) -> None:
    """It is a quarter of the time of an import of the contract, and sandboxes start for every check."""
    assert not base.model_config.get("use_attribute_docstrings")
    assert base.model_config["defer_build"]
