"""Field types: scores and losses as the contract writes them, and names that packages may add to."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bitagent_crds.evalround import EvalRound, ModelSelection
from bitagent_crds.evaluation import BuiltinScorer, Evaluation, Toleration
from bitagent_crds.fields import (
    DataKey,
    JobSecretKey,
    LabelKey,
    Labels,
    Name,
    ObjectName,
    Path,
    Quantity,
    Repo,
    SecretKey,
    TaintKey,
)
from bitagent_crds.minermodel import MinerModel, MinerModelSpec
from bitagent_crds.results import ResultsManifest
from bitagent_crds.schema import Resource, manifest
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.texts import loss_text, score_text
from bitagent_crds.validator import BuiltinPolicy, Validator

ROUND = ("spec", "competitions", "[]", "round")
FIELDS: list[tuple[type[Resource], tuple[str, ...], type[StrEnum]]] = [
    (EvalRound, ("spec", "evaluation", "scorer"), BuiltinScorer),
    (EvalRound, ("spec", "evaluation", "promptFormat"), BuiltinPromptFormat),
    (MinerModel, ("spec", "promptFormat"), BuiltinPromptFormat),
    (Validator, ("spec", "competitions", "[]", "policy"), BuiltinPolicy),
    (Validator, (*ROUND, "evaluation", "scorer"), BuiltinScorer),
    (Validator, (*ROUND, "evaluation", "promptFormat"), BuiltinPromptFormat),
]


@pytest.mark.parametrize(
    ("passed", "total", "text"),
    [
        pytest.param(0, 0, "0.000000", id="nothing"),
        pytest.param(1, 3, "0.333333", id="third"),
        pytest.param(7, 7, "1.000000", id="all"),
    ],
)
def test_score_text(passed: int, total: int, text: str) -> None:
    assert score_text(passed, total) == text


def test_a_score_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        score_text(3, 2)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        pytest.param(0.0, "0.000000", id="none"),
        pytest.param(1.25, "1.250000", id="usual"),
        pytest.param(1e12, "inf", id="too large to write"),
        pytest.param(math.inf, "inf", id="infinite"),
        pytest.param(math.nan, "inf", id="not a number"),
    ],
)
def test_loss_text(loss: float, text: str) -> None:
    assert loss_text(loss) == text


def test_a_loss_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below"):
        loss_text(-0.1)


def schema_of(kind: type[Resource], path: tuple[str, ...]) -> dict[str, Any]:
    node: dict[str, Any] = manifest(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for step in path:
        node = node["items"] if step == "[]" else node["properties"][step]
    return node


@pytest.mark.parametrize(("kind", "path", "builtin"), FIELDS)
def test_the_schema_names_the_built_in_ones_and_admits_others(
    kind: type[Resource], path: tuple[str, ...], builtin: type[StrEnum]
) -> None:
    schema = schema_of(kind, path)
    assert "enum" not in schema
    assert schema["maxLength"] == 63
    assert schema.get("default", re.findall(r"\w+", schema["description"])[-1]) in list(builtin)
    for name in [*builtin, "MyCompany2026"]:
        assert re.search(schema["pattern"], name)
    for name in ["", "lower", "With-Dash", "With.Dot", "a/B", "Ünicode", "New\nLine"]:
        assert not re.search(schema["pattern"], name)
    named = set(re.findall(r"\w+", schema["description"]))
    assert set(builtin) <= named


def test_a_name_of_a_package_is_kept() -> None:
    assert Evaluation.model_validate({"scorer": "MyScorer"}).to_wire()["scorer"] == "MyScorer"
    spec = {"source": {"volume": {"claimName": "c", "path": "p"}}, "promptFormat": "MyFormat"}
    assert MinerModelSpec.model_validate(spec).to_wire()["promptFormat"] == "MyFormat"
    assert ResultsManifest.model_fields["scorer"].default == BuiltinScorer.BFCL


@pytest.mark.parametrize("name", ["lower", "", "A" * 64, "Bfcl\n"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="scorer"):
        Evaluation.model_validate({"scorer": name})


def test_defaults_are_written_as_plain_names() -> None:
    wire = Evaluation().to_wire()
    assert (wire["scorer"], wire["promptFormat"]) == ("Bfcl", "Auto")
    assert Evaluation().model_dump()["scorer"] == "Bfcl"


def _accepts(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


KUBERNETES = [
    (Name, ["a", "llama-3.1-8b", "a.b.c"], ["", "a..b", "-a", "a.", "A", "a.-b", "a" * 64, "a_b"]),
    (ObjectName, ["a", "a.b", "a" * 253], ["", "a..b", ".a", "a-", "a/b", "a" * 254]),
    (
        LabelKey,
        ["a", "A_b.c", "a.b/C", "a" * 63, "a/" + "b" * 63],
        ["", "!x", "a,b", "a/", "/a", "A/a", "a" * 64, "a/b/c"],
    ),
    (TaintKey, ["", "nvidia.com/gpu"], ["a b", "-a"]),
    (DataKey, ["a", ".a", "_", "-.-", "a..b"], ["", ".", "..", "..a", "a/b", "a b"]),
    (Labels, [{}, {"a.b/c": ""}], [{"": "x"}, {"!x": "x"}, {"a": "b c"}, {str(i): "" for i in range(17)}]),
    (Repo, ["org/m", "org/_m.1"], ["org/..", "org/.", "org/", "../m", "org"]),
    (Path, ["a/b", "a/..b", "."], ["/a", "..", "a/../b", "a/.."]),
    (Quantity, ["1", "500m", "16Gi", "0.5"], ["", "-1", "1 Gi", "1e3x", "Gi"]),
]

NAMES = ["Name", "ObjectName", "LabelKey", "TaintKey", "DataKey", "Labels", "Repo", "Path", "Quantity"]


@pytest.mark.parametrize(("kind", "good", "bad"), KUBERNETES, ids=NAMES)
def test_fields_of_kubernetes_have_the_forms_of_kubernetes(kind: Any, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not _accepts(kind, value)] == []
    assert [value for value in bad if _accepts(kind, value)] == []


def test_a_hotkey_is_not_handed_to_a_job() -> None:
    assert _accepts(JobSecretKey, {"name": "bitagent-job-hub", "key": "token"})
    assert not _accepts(JobSecretKey, {"name": "hotkey", "key": "k"})
    assert not _accepts(SecretKey, {"name": "bitagent-job-hub", "key": "token"})


@pytest.mark.parametrize(
    ("toleration", "good"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "a.b/c", "value": "x", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "operator": "Exists", "value": "x"}, False),
        ({}, False),
        ({"operator": "Equal", "value": "x"}, False),
        ({"key": "a", "effect": "Never"}, False),
        ({"key": "a", "operator": "In"}, False),
    ],
    ids=str,
)
def test_tolerations_are_those_of_kubernetes(toleration: dict[str, str], good: bool) -> None:
    assert _accepts(Toleration, toleration) is good


@pytest.mark.parametrize("members", [{}, {"matchLabels": {}, "names": ["a"]}], ids=["none", "both"])
def test_a_choice_of_one_member_is_checked_in_code_too(members: dict[str, Any]) -> None:
    assert _accepts(ModelSelection, {"names": ["a"]})
    assert not _accepts(ModelSelection, members)
