"""JSON documents follow the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from bitagent_leaderboard.api.openapi import openapi
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.site.documents import Site
from tests import leaderboard_objects as objects

Text = Callable[..., str]


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(openapi())
    return found


def test_the_document_is_openapi(spec: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(spec).validate()


def test_every_json_document_has_its_schema(demo: Board, spec: dict[str, Any], text_of: Text) -> None:
    checked = set()
    for path in Site(demo, Settings(has_manifests=True)).paths():
        if not path.startswith("api/v1/") or not path.endswith(".json") or path.endswith("openapi.json"):
            continue
        own = "/" + path.removeprefix("api/v1/")
        template = next(each for each in spec["paths"] if re.fullmatch(each.replace("{name}", "[^/]+"), own))
        schema = spec["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        document = json.loads(text_of(demo, path, has_manifests=True))
        jsonschema.validate(document, schema | {"components": spec["components"]})
        checked.add(template)
    assert checked == {path for path in spec["paths"] if path.endswith(".json")}


def test_a_round(demo: Board, text_of: Text) -> None:
    found = json.loads(text_of(demo, "api/v1/rounds/demo-tools-2.json", has_manifests=True))
    first = found["results"][0]
    assert (first["rank"], first["interval"] is not None, first["categories"]["irrelevance"]["total"]) == (1, True, 100)
    assert first["reproduce"].startswith("bitagent-eval plan")
    running = json.loads(text_of(demo, "api/v1/rounds/demo-tools-3.json"))
    assert {row["score"] for row in running["results"]} == {None}
    assert running["seed"] is None
    assert [row["done"] for row in running["results"] if row["total"]] == [380, 120]


def test_the_document_by_which_anyone_asks_the_same(demo: Board, text_of: Text) -> None:
    """bitagent-eval plan reads it."""
    from bitagent_evaluator.cli.plan import plan_of
    from bitagent_evaluator.cli.round_document import asked_by

    asked = asked_by(json.loads(text_of(demo, "rounds/demo-tools-2/round.json")), "the page")
    plan = plan_of(asked, model="miner-0/model", out="x")
    assert f"miner-0/model@{objects.commit(0)}" in plan.run
    assert f"{objects.SEED}-demo-tools-2" in plan.build
    assert plan.digest == objects.digest("tasks", "demo-tools-2")


def test_weights(demo: Board, text_of: Text) -> None:
    found = json.loads(text_of(demo, "api/v1/validators/demo.json"))
    assert (found["weights_current"], found["last_block"], found["rounds"]) == (True, 7100, ["demo-tools-2"])
    assert found["weights"][0]["weight"] == "0.40000000"
    assert found["weights"][0]["results"][0]["model"] == "model-0"


def test_online_answers(demo: Board, text_of: Text) -> None:
    (step,) = json.loads(text_of(demo, "api/v1/validators/demo.json"))["online"]
    assert (step["competition"], step["block"], step["miners"]) == ("tools", 7175, 9)
    first = step["answers"][0]
    assert (first["hotkey"], first["answer"]["mean"], first["answer"]["score"]) == (
        objects.hotkey(1),
        "0.913000",
        "1.000000",
    )
    assert [(each["round"], each["model"]) for each in first["results"]] == [("demo-tools-2", "model-1")]
    (own,) = json.loads(text_of(demo, "api/v1/models/model-2.json"))["online"]
    assert (own["validator"], own["answer"]["why"]["reason"]) == ("demo", "Timeout")
