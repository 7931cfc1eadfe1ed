"""CustomResourceDefinitions from pydantic models, as *structural* schemas that an API server accepts.

The models are the one source of the contract. This module turns a model's JSON schema into the subset that Kubernetes allows, and
refuses at generation time what would only fail, or silently weaken, at run time:

- a union that is not int-or-string (write optional members and a CEL rule, see `exactly_one`),
- a recursive type,
- a string, list or map without an upper bound: one unbounded field makes every CEL rule above it exceed the server's cost budget.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

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
        "description",
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
_DROPPED = frozenset({"title", "examples", "$defs"})
_BOUNDS = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",), "map": ("maxProperties",)}


class Model(BaseModel):
    """Base of every type of the contract: camelCase on the wire, docstrings become descriptions, unknown fields are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True, frozen=True
    )

    def to_wire(self) -> dict[str, Any]:
        """The object as Kubernetes wants it: camelCase, JSON types, absent members left out (the API refuses nulls)."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`. `priority` above 0 shows it only with `-o wide`."""

    name: str
    jsonPath: str  # noqa: N815 - the wire name
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class Kind:
    """Names and presentation of one custom resource. `name_max` bounds metadata.name, so that names derived from it fit in 63 bytes."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    name_max: int


class Resource(Model):
    """A root kind. Subclasses set `crd` and declare `spec` and `status`."""

    crd: ClassVar[Kind]


def cel(rule: str, message: str, **extra: str) -> Schema:
    """One CEL validation with the message that a person reads when it fails."""
    return {"rule": rule, "message": message, **extra}


def rules(*validations: Schema) -> Schema:
    """Value for `json_schema_extra`: CEL validations at this level of the schema."""
    return {"x-kubernetes-validations": list(validations)}


def exactly_one(*members: str) -> Schema:
    """CEL rule: exactly one of the optional members is set."""
    tests = ", ".join(f"has(self.{m})" for m in members)
    return cel(f"[{tests}].exists_one(x, x)", f"exactly one of {', '.join(members)} must be set")


def map_list(*keys: str) -> Schema:
    """Value for `json_schema_extra`: a list that server-side apply merges by these keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class _Generator(GenerateJsonSchema):
    """Optional means "may be absent", as in Kubernetes; None is never a value."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def structural(node: Schema, defs: Schema, at: str, seen: tuple[str, ...] = ()) -> Schema:
    """Rewrite one JSON schema node; `at` is its path, for errors. Raises ValueError for what Kubernetes cannot express."""
    if ref := node.get("$ref"):
        if ref in seen:
            raise ValueError(f"{at}: recursive type {ref}")
        target = {**defs[ref.removeprefix("#/$defs/")], **{k: v for k, v in node.items() if k != "$ref"}}
        return structural(target, defs, at, (*seen, ref))
    out: Schema = {k: v for k, v in node.items() if k.startswith("x-kubernetes-")}
    if variants := node.get("anyOf") or node.get("oneOf"):
        if {v.get("type") for v in variants} != {"integer", "string"}:
            raise ValueError(f"{at}: a union is not structural; use optional members and exactly_one()")
        kept = {k: node[k] for k in ("description", "default") if k in node}
        return out | {"x-kubernetes-int-or-string": True} | kept
    for key, value in node.items():
        if key in _DROPPED or key in out:
            continue
        if key == "const":
            out |= {"enum": [value], "type": "string"}
        elif key == "uniqueItems":
            out["x-kubernetes-list-type"] = "set"
        elif key in (
            "exclusiveMinimum",
            "exclusiveMaximum",
        ):  # a number in JSON Schema 2020-12, a boolean in OpenAPI 3.0
            out |= {"minimum" if "Min" in key else "maximum": value, key: True}
        elif key == "properties":
            out[key] = {name: structural(child, defs, f"{at}.{name}", seen) for name, child in value.items()}
        elif key == "items":
            out[key] = structural(value, defs, f"{at}[]", seen)
        elif key == "additionalProperties":
            if value not in (True, False):
                out[key] = structural(value, defs, f"{at}{{}}", seen)
        elif key == "default" and "properties" in node:
            out[key] = {}  # the members carry their own defaults, which the server fills in
        elif key in _KEPT:
            out[key] = value
        else:
            raise ValueError(f"{at}: cannot express {key!r} in a structural schema")
    kind = "map" if "additionalProperties" in out else out.get("type", "")
    bounds = _BOUNDS.get(kind, ())
    if bounds and not any(b in out for b in bounds):
        raise ValueError(f"{at}: needs one of {', '.join(bounds)}")
    return out


def manifest(resource: type[Resource]) -> Schema:
    """The CustomResourceDefinition of one kind, ready for `kubectl apply`."""
    kind = resource.crd
    raw = resource.model_json_schema(schema_generator=_Generator)
    root = structural(raw, raw.get("$defs", {}), kind.kind)
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
