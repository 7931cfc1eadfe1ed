"""Docstrings below the members of classes, which Python itself drops, and JSON schemas with them as descriptions.

pydantic reads them, too (`use_attribute_docstrings`), but of every class whenever it is imported: a quarter of the time
that the import of this package took. Only what generates files needs them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


def member_docs(kind: type) -> dict[str, str]:
    """Return the docstring of each member of a class, also of inherited ones, by its name; members without one lack.

    Raises OSError if there is no source of the class.
    """
    docs: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__.partition(".")[0] not in ("builtins", "enum", "pydantic", "abc", "typing"):
            docs |= _own_docs(each)
    return docs


@cache
def _own_docs(kind: type) -> Mapping[str, str]:
    """Return the docstrings of the members that a class itself defines. To find its source takes milliseconds."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{kind.__name__} is not a class")
    docs: dict[str, str] = {}
    for statement, following in pairwise(definition.body):
        name = _assigned(statement)
        if name and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[name] = inspect.cleandoc(str(following.value.value))
    return docs


def _assigned(statement: ast.stmt) -> str:
    """Return the name that a statement assigns or annotates; empty if it is another statement."""
    target: ast.expr | None = None
    if isinstance(statement, ast.AnnAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign):
        target = statement.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


class DescribedJsonSchema(GenerateJsonSchema):
    """JSON schema in which the docstring of a member is its description, unless it has another."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model."""
        found, kind = super().model_schema(schema), schema["cls"]
        if not issubclass(kind, BaseModel):
            raise TypeError(f"{kind.__name__} is not a model")
        docs = member_docs(kind)
        for name, field in kind.model_fields.items():
            described = found.get("properties", {}).get(field.alias if self.by_alias and field.alias else name)
            if described is not None and name in docs:
                described.setdefault("description", docs[name])
        return found
