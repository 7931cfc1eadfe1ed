"""A Validator's rewriter, as the operator makes it, and the chart: who may connect to it, and its pod's security."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.rewriter import Rewriter
from bitagent_operator.config import Config
from bitagent_operator.manifests.rewriter import rewriter_objects
from bitagent_operator.observed.objects import ValidatorObject


@pytest.fixture
def objects(root: Path) -> tuple[dict[str, Any], ...]:
    """The objects of the example's rewriter."""
    demo = yaml.safe_load((root / "examples/demo/validator.yaml").read_text())
    demo["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec = Rewriter.model_validate(
        yaml.safe_load((root / "examples/altered/rewriter.yaml").read_text())["spec"]["rewriter"]
    )
    config = {
        "namespace": "bitagent",
        "images": {"evaluator": "e:1", "validator": "v:1"},
        "cache": {"claimName": "cache"},
        "artifacts": {"claimName": "artifacts"},
    }
    validator = ValidatorObject.parse(demo)
    return rewriter_objects(Config.model_validate(config), validator, spec, commit="a" * 40, replicas=1)


def test_pod_is_restricted(
    objects: tuple[dict[str, Any], ...], unrestricted: Callable[[tuple[dict[str, Any], ...]], list[str]]
) -> None:
    assert unrestricted(objects) == []


def test_the_charts_policy_finds_the_pod(objects: tuple[dict[str, Any], ...], root: Path) -> None:
    values = yaml.safe_load((root / "charts/bitagent-operator/values.yaml").read_text())
    ((rule),) = values["networkPolicy"]["rewriter"]
    (deployment,) = [o for o in objects if o["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    assert rule["to"][0]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    assert [p["port"] for p in rule["ports"]] == [p["containerPort"] for p in container["ports"]]


def test_no_gpu_is_requested_for_a_model_on_the_cpu(objects: tuple[dict[str, Any], ...]) -> None:
    assert "nvidia.com/gpu" not in str(objects)
