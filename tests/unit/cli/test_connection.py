"""Messages for the errors that a person meets."""

from __future__ import annotations

import pytest

from bitagent_cli.connection import explained
from bitagent_kube.errors import ApiError


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        pytest.param(0, "NoAnswer", "does not answer (context c, http://s)", id="no answer"),
        pytest.param(401, "Unauthorized", "log in again", id="no credentials"),
        pytest.param(403, "Forbidden", "ask for the right", id="no right"),
        pytest.param(404, "NotFound", "bitagent-operator", id="no kind"),
        pytest.param(422, "Invalid", "its words", id="refused"),
    ],
)
def test_explained(code: int, reason: str, said: str) -> None:
    error = ApiError(code=code, reason=reason, message="its words")
    assert said in explained(error, server="http://s", context="c")


def test_a_namespace_that_is_missing_is_not_a_missing_definition() -> None:
    text = explained(
        ApiError(code=404, reason="NotFound", message='namespaces "x" not found'), server="http://s", context="c"
    )
    assert "--namespace" in text
    assert "bitagent-operator" not in text
