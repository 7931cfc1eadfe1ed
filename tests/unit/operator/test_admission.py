"""Admission by facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evalround import Admission
from bitagent_crds.minermodel import ModelFacts
from bitagent_operator.plan.admission import judge

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


@pytest.mark.parametrize(
    ("rules", "facts", "reason"),
    [
        pytest.param({}, {}, None, id="no rules"),
        pytest.param({"maxParameters": 1000}, {"parameters": 1000}, None, id="parameters at the limit"),
        pytest.param({"maxParameters": 999}, {"parameters": 1000}, "TooManyParameters", id="too many parameters"),
        pytest.param({"maxRepositoryBytes": 10}, {"sizeBytes": 11}, "RepositoryTooLarge", id="too large"),
        pytest.param({"maxRepositoryBytes": 10}, {"sizeBytes": 10}, None, id="size at the limit"),
        pytest.param({"licenses": ["Apache-2.0"]}, {"license": "apache-2.0"}, None, id="licence ruled in another case"),
        pytest.param({"architectures": ["LlamaForCausalLM"]}, {}, None, id="architecture that is allowed"),
        pytest.param({"licenses": ["mit"]}, {"license": "MIT"}, None, id="licence in another case"),
        pytest.param({"licenses": ["mit"]}, {"license": ""}, "LicenseNotAllowed", id="no licence"),
        pytest.param({"licenses": ["mit"]}, {"license": "gpl-3.0"}, "LicenseNotAllowed", id="another licence"),
        pytest.param({"architectures": ["Qwen2ForCausalLM"]}, {}, "ArchitectureNotAllowed", id="architecture"),
        pytest.param({"requireChatTemplate": True}, {}, "NoChatTemplate", id="no template"),
        pytest.param({"requireChatTemplate": True}, {"templateDigest": "sha256:" + "0" * 64}, None, id="template"),
        pytest.param(
            {"maxParameters": 1, "architectures": ["X"]}, {}, "ArchitectureNotAllowed", id="the first broken rule tells"
        ),
    ],
)
def test_judge(make: Make, rules: dict[str, Any], facts: dict[str, Any], reason: str | None) -> None:
    found = judge(Admission.model_validate(rules), ModelFacts.model_validate(make.facts() | facts))
    assert (found.reason if found else None) == reason
    assert found is None or found.message
