"""The OpenAPI document of everything below `api/v1`, from the schemas."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from bitagent_crds.docstrings import DescribedJsonSchema
from bitagent_leaderboard.api import schemas

_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 63}}
_DOCUMENTS: tuple[tuple[str, str, type[schemas.Document]], ...] = (
    ("/board.json", "Competitions and Validators", schemas.BoardDocument),
    ("/rounds.json", "All rounds, the newest first", schemas.RoundList),
    ("/rounds/{name}.json", "A round with its results", schemas.RoundDocument),
    ("/models.json", "All models", schemas.ModelList),
    ("/models/{name}.json", "A model with its history", schemas.ModelDocument),
    ("/validators/{name}.json", "A Validator with its weights", schemas.ValidatorDocument),
)


@cache
def openapi() -> str:
    """Return the document as JSON."""
    kinds = [kind for _, _, kind in _DOCUMENTS]
    _, defined = models_json_schema(
        [(kind, "serialization") for kind in kinds],
        ref_template="#/components/schemas/{model}",
        schema_generator=DescribedJsonSchema,
    )
    paths = {
        path: _get(path, summary, "application/json", {"$ref": f"#/components/schemas/{kind.__name__}"})
        for path, summary, kind in _DOCUMENTS
    }
    csv = "/rounds/{name}.csv"
    paths[csv] = _get(csv, "The results of a round as a table", "text/csv", {"type": "string"})
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "bitagent leaderboard",
                "version": version("bitagent"),
                "description": "Read-only. Scores of a round are null until it is complete. Members are only added.",
            },
            "servers": [{"url": "."}],
            "paths": paths,
            "components": {"schemas": defined["$defs"]},
        }
    )


def _get(path: str, summary: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    named = "{name}" in path
    condition = {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of an earlier answer",
        "schema": {"type": "string"},
    }
    answers: dict[str, Any] = {
        "200": {
            "description": summary,
            "headers": {"ETag": {"schema": {"type": "string"}, "description": "Changes with the content"}},
            "content": {kind: {"schema": schema}},
        },
        "304": {"description": "The content has that ETag"},
    }
    if named:
        answers["404"] = {"description": "There is no such object"}
    operation = {
        "operationId": path.strip("/").replace("/{name}", "_of").replace(".", "_"),
        "summary": summary,
        "parameters": [*([_NAME] if named else []), condition],
        "responses": answers,
    }
    return {"get": operation}
