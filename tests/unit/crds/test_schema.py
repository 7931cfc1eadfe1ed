"""The generator: what it turns into a structural schema, and what it refuses."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from bitagent_crds.generate import KINDS
from bitagent_crds.schema import Kind, Model, Resource, exactly_one, manifest, rules

KIND = Kind(kind="Thing", plural="things", short_names=("th",), columns=(), name_max=40)


def spec_schema(spec: type[Model]) -> dict[str, Any]:
    class Thing(Resource):
        """A thing."""

        crd: ClassVar[Kind] = KIND
        spec: spec  # type: ignore[valid-type]

    Thing.model_rebuild(_types_namespace={"spec": spec})
    root = manifest(Thing)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    out: dict[str, Any] = root["properties"]["spec"]
    return out


class Inner(Model):
    """An inner object."""

    size: Annotated[int, Field(ge=1, le=9)] = 3
    """size of it."""


class Good(Model):
    """Everything that can be expressed."""

    model_config = {"json_schema_extra": rules(exactly_one("a", "b"))}

    a: Inner | None = None
    """a is one."""
    b: Inner | None = None
    """b is the other."""
    names: Annotated[list[Annotated[str, Field(max_length=5)]], Field(max_length=2)] = []
    """names of it."""
    share: Annotated[int | str, Field()] = "10%"
    """share, as a number or a percentage."""


def test_optional_means_absent_and_references_are_inlined() -> None:
    schema = spec_schema(Good)
    assert schema["properties"]["a"]["properties"]["size"] == {
        "default": 3, "description": "size of it.", "maximum": 9, "minimum": 1, "type": "integer",
    }  # fmt: skip
    assert "default" not in schema["properties"]["a"]
    assert schema["properties"]["share"]["x-kubernetes-int-or-string"] is True
    assert schema["x-kubernetes-validations"][0]["message"] == "exactly one of a, b must be set"


class UnboundedString(Model):
    text: str


class UnboundedList(Model):
    items: list[Inner]


class UnboundedMap(Model):
    labels: dict[str, Annotated[str, Field(max_length=3)]]


class Union(Model):
    either: Inner | Annotated[str, Field(max_length=3)]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param(UnboundedString, r"Thing.spec.text: needs one of maxLength", id="string"),
        pytest.param(UnboundedList, r"Thing.spec.items: needs one of maxItems", id="list"),
        pytest.param(UnboundedMap, r"Thing.spec.labels: needs one of maxProperties", id="map"),
        pytest.param(Union, r"Thing.spec.either: a union is not structural", id="union"),
    ],
)
def test_refused(spec: type[Model], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec_schema(spec)


def nodes(schema: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, child in schema.get("properties", {}).items():
        found += nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += nodes(schema[key], f"{path}[]")
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.crd.kind)
def test_every_field_is_described(kind: type[Resource]) -> None:
    root = manifest(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    own = [(p, s) for top in ("spec", "status") for p, s in nodes(root["properties"][top], top)]
    missing = [p for p, s in own if not p.endswith("[]") and not s.get("description")]
    assert not missing
    floats = [p for p, s in own if s.get("type") == "number"]
    assert not floats
