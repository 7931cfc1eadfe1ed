"""CustomResourceDefinitions from pydantic models, as *structural* schemas that an API server accepts.

The models are the one source of the contract. This module converts a model's JSON schema to the subset that
Kubernetes allows, and rejects at generation time what would only fail, or silently weaken, at run time:

- a union that is not int-or-string (use optional members and a CEL rule instead, see `exactly_one`),
- a recursive type,
- a string, list or map without an upper bound: one unbounded field makes every CEL rule above it exceed the server's
  cost budget.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from bitagent_crds.defaults import without_defaults_of_items
from bitagent_crds.docstrings import DescribedJsonSchema

Schema = dict[str, Any]

GROUP = "bitagent.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_KEPT = frozenset(
    [
        "type",
        "required",
        "enum",
        "default",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ]
)
_DROPPED = frozenset({"title", "examples", "$defs", "propertyNames"})
_BOUNDS = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",), "map": ("maxProperties",)}


class Model(BaseModel):
    """Base of the types of the contract: camelCase on the wire, docstrings as descriptions, unknown fields rejected."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        defer_build=True,
        frozen=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """Return the object as Kubernetes expects it: camelCase, JSON types, absent members omitted (the API rejects
        nulls)."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """Base of what one version writes and another may read: statuses, and summaries of Jobs.

    Members of a later version are kept as they are, and written back. In a definition such an object has
    `x-kubernetes-preserve-unknown-fields`, so that an API server with older definitions stores them.
    """

    model_config = ConfigDict(extra="allow")


E = TypeVar("E", bound=StrEnum)
M = TypeVar("M", bound=BaseModel)

_OPEN = r"^[A-Z][A-Za-z0-9]*$"
_READABLE = r"[A-Za-z][A-Za-z0-9_]*"


def later(kind: type[E], value: str) -> E:
    """Return a member of `kind` for a value that only a later version knows. It equals no member of this one."""
    member: E = kind.__new_member__(kind, value)  # type: ignore[attr-defined]
    member._name_ = value
    return member


def is_later(member: StrEnum) -> bool:
    """Whether this version does not know the value; see `Open`."""
    return member.value not in type(member)._value2member_map_


class Open:
    """Annotation of an enumeration to which later versions add values: `Annotated[Reason, Open()]`.

    In a definition it is a pattern, so that API server and operator may be of different versions. An unknown value is
    read as `later(...)`, and written back as it is.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return a schema that also takes unknown values: of the form that a definition allows, if all known ones are.

        What is read as a reason can then be written to a status. Other enumerations may have small letters and `_`.
        """
        form = _OPEN if all(re.fullmatch(_OPEN, str(member)) for member in source) else _READABLE

        def read(value: object, known: core_schema.ValidatorFunctionWrapHandler) -> object:
            try:
                return known(value)
            except ValidationError:
                if not isinstance(value, str) or len(value) > OPEN_LENGTH or not re.fullmatch(form, value):
                    raise
                return later(source, value)

        inner = handler(source)
        return core_schema.no_info_wrap_validator_function(read, inner, serialization=_BY_VALUE)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a pattern instead of the list of members."""
        return {"type": "string", "maxLength": OPEN_LENGTH, "pattern": _OPEN}


OPEN_LENGTH = 64
"""Longest value of an open enumeration."""
_BY_VALUE = core_schema.plain_serializer_function_ser_schema(
    lambda member: member.value, return_schema=core_schema.str_schema(), when_used="json"
)

SCHEMA_VERSION = 1
"""Version of the files' schema; it changes when the meaning of a field changes."""


class FileModel(BaseModel):
    """Base of the models of files: frozen, snake_case, unknown fields (of a newer version) ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, ser_json_inf_nan="strings")
    _later: ClassVar[frozenset[str]] = frozenset()
    """Fields added after schema 1; omitted when empty so that existing digests stay valid."""

    @model_serializer(mode="wrap")
    def _without_empty_later_fields(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {
            name: value for name, value in content.items() if name not in self._later or value not in (None, [], {}, "")
        }


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`. `priority` above 0 shows it only with `-o wide`."""

    name: str
    jsonPath: str  # noqa: N815 - the wire name
    type: str = "string"
    priority: int = 0
    description: str = ""


READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
REASON = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason')
"""The first thing that is wrong, or what the object waits for."""


@dataclass(frozen=True)
class Kind:
    """Names and printer columns of one custom resource. `name_max` limits metadata.name, so that names derived from it
    fit in 63 bytes."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    name_max: int


class Resource(Model):
    """A root kind. Subclasses set `crd` and declare `spec` and `status`."""

    crd: ClassVar[Kind]


def cel(rule: str, message: str, **extra: str) -> Schema:
    """Return a CEL validation rule with the message that the API server gives when it fails."""
    return {"rule": rule, "message": message, **extra}


def rules(*validations: Schema) -> Schema:
    """Return a value for `json_schema_extra`: CEL validations at this level of the schema."""
    return {"x-kubernetes-validations": list(validations)}


def exactly_one(*members: str) -> Schema:
    """Return a CEL rule: exactly one of the optional members is set."""
    tests = ", ".join(f"has(self.{m})" for m in members)
    return cel(f"[{tests}].exists_one(x, x)", f"exactly one of {', '.join(members)} must be set")


def has_exactly_one(model: M, *members: str) -> M:
    """Return the model. Raises ValueError unless exactly one of the optional members is set, as `exactly_one`."""
    if sum(getattr(model, member) is not None for member in members) != 1:
        raise ValueError(f"exactly one of {', '.join(map(to_camel, members))} must be set")
    return model


def map_list(*keys: str) -> Schema:
    """Return a value for `json_schema_extra`: a list that server-side apply merges by these keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class _Generator(DescribedJsonSchema):
    """JSON schema in which optional means "may be absent", as in Kubernetes; None is never a value."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _unwrapped(text: str) -> str:
    """Return a docstring with each paragraph on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def structural(node: Schema, defs: Schema, at: str, seen: tuple[str, ...] = ()) -> Schema:
    """Return a JSON schema node as a structural schema; `at` is its path, for errors.

    Raises ValueError if Kubernetes cannot express it.
    """
    if ref := node.get("$ref"):
        if ref in seen:
            raise ValueError(f"{at}: recursive type {ref}")
        target = {**defs[ref.removeprefix("#/$defs/")], **{k: v for k, v in node.items() if k != "$ref"}}
        return structural(target, defs, at, (*seen, ref))
    out: Schema = {k: v for k, v in node.items() if k.startswith("x-kubernetes-")}
    if variants := node.get("anyOf") or node.get("oneOf"):
        if {v.get("type") for v in variants} != {"integer", "string"}:
            raise ValueError(f"{at}: a union is not structural; use optional members and exactly_one()")
        if "default" in node:
            out["default"] = node["default"]
        return out | {"x-kubernetes-int-or-string": True, "description": _unwrapped(node.get("description", ""))}
    for key, value in node.items():
        if key in _DROPPED or key in out:
            continue
        if key == "const":
            out |= {"enum": [value], "type": "string"}
        elif key == "uniqueItems":
            out["x-kubernetes-list-type"] = "set"
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            # A number in JSON Schema 2020-12, a boolean in OpenAPI 3.0.
            out |= {"minimum" if "Min" in key else "maximum": value, key: True}
        elif key == "properties":
            out[key] = {name: structural(child, defs, f"{at}.{name}", seen) for name, child in value.items()}
        elif key == "items":
            out[key] = structural(value, defs, f"{at}[]", seen)
        elif key == "additionalProperties":
            if value is True and "properties" in node:
                out["x-kubernetes-preserve-unknown-fields"] = True
            elif value not in (True, False):
                out[key] = structural(value, defs, f"{at}{{}}", seen)
        elif key == "patternProperties":
            # A map whose keys have a pattern; the rule that checks them is the map type's own.
            if "x-kubernetes-validations" not in node or len(value) != 1:
                raise ValueError(f"{at}: the pattern of a map's keys needs a CEL rule")
            out["additionalProperties"] = structural(next(iter(value.values())), defs, f"{at}{{}}", seen)
        elif key == "default" and "properties" in node:
            out[key] = {}  # the members carry their own defaults, which the server fills in
        elif key == "description":
            out[key] = _unwrapped(value)
        elif key in _KEPT:
            out[key] = value
        else:
            raise ValueError(f"{at}: cannot express {key!r} in a structural schema")
    kind = "map" if "additionalProperties" in out else out.get("type", "")
    bounds = _BOUNDS.get(kind, ())
    if bounds and not any(b in out for b in bounds):
        raise ValueError(f"{at}: needs one of {', '.join(bounds)}")
    return out


def schema_of(resource: type[Resource]) -> Schema:
    """Return the structural schema of one kind, with all defaults: also those that readers apply."""
    raw = resource.model_json_schema(schema_generator=_Generator)
    return structural(raw, raw.get("$defs", {}), resource.crd.kind)


def manifest(resource: type[Resource]) -> Schema:
    """Return the CustomResourceDefinition of one kind, ready for `kubectl apply`."""
    kind, root = resource.crd, without_defaults_of_items(schema_of(resource))
    root["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": kind.name_max}}},
    }
    columns = [{k: v for k, v in asdict(c).items() if v not in ("", 0)} for c in kind.columns]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": root},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["bitagent"],
            },
            "versions": [version],
        },
    }
