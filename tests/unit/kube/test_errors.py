"""Which answers of the API server are final."""

from __future__ import annotations

import pytest

from bitagent_kube.errors import ApiError


@pytest.mark.parametrize(
    ("code", "final"),
    [
        pytest.param(400, True, id="malformed"),
        pytest.param(403, True, id="forbidden, or beyond a quota"),
        pytest.param(404, True, id="no such kind"),
        pytest.param(413, True, id="too large"),
        pytest.param(422, True, id="invalid"),
        pytest.param(401, False, id="a token that is being renewed"),
        pytest.param(408, False, id="too slow"),
        pytest.param(409, False, id="conflict"),
        pytest.param(429, False, id="too many requests"),
        pytest.param(500, False, id="failed"),
        pytest.param(503, False, id="away"),
        pytest.param(0, False, id="no answer"),
    ],
)
def test_which_requests_would_be_refused_again(code: int, final: bool) -> None:
    assert ApiError(code=code, reason="", message="").final is final
