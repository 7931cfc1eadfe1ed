"""Claims to a commitment, compared with the chain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import ModelResult
from bitagent_validator.chain.facts import Commitment
from bitagent_validator.competitions.claims import Named, named_model, refused_claims
from bitagent_validator.state.scores import Submission

COMMIT, OTHER = "c" * 40, "d" * 40


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("acme/tiny", Named("acme/tiny", None), id="a repository"),
        pytest.param(f"acme/tiny@{COMMIT}", Named("acme/tiny", COMMIT), id="with a commit"),
        pytest.param("acme/tiny@main", Named("acme/tiny", None), id="with a branch"),
        pytest.param(f"acme:tiny:{COMMIT}:hash:1", Named("acme/tiny", COMMIT), id="the finetuning subnets"),
        pytest.param("acme:tiny:None:hash:1", Named("acme/tiny", None), id="theirs without a commit"),
        pytest.param(
            json.dumps({"model": "acme/tiny", "revision": COMMIT}), Named("acme/tiny", COMMIT), id="a JSON object"
        ),
        pytest.param('{"model": 1}', None, id="JSON about something else"),
        pytest.param("[1]", None, id="a JSON list"),
        pytest.param("{", None, id="broken JSON"),
        pytest.param("", None, id="sealed, or no text"),
        pytest.param("0xdeadbeef", None, id="bytes"),
        pytest.param("10.0.0.1:8091", None, id="an address"),
    ],
)
def test_what_a_commitment_names(text: str, named: Named | None) -> None:
    assert named_model(text) == named


@given(st.text(max_size=200))
def test_any_text_may_be_committed(text: str) -> None:
    named_model(text)


def refused(
    text: str, *, block: int | None = 5, claimed: int | None = 5, seen: bool = False, **result: Any
) -> dict[str, str]:
    fields = {"model": "m", "commit": COMMIT, "repo": "acme/tiny"} | result
    return refused_claims(
        [ModelResult.model_validate(fields)],
        submissions={"m": Submission(hotkey="h", block=claimed)},
        commitments={"h": Commitment(text, block)},
        first_seen={"m"} if seen else set(),
    )


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        pytest.param("acme/tiny", {}, False, id="names it"),
        pytest.param("Acme/Tiny", {}, False, id="in another case, as hubs allow"),
        pytest.param(f"acme/tiny@{COMMIT}", {}, False, id="and its commit"),
        pytest.param("acme/tiny", {"block": 4}, False, id="committed earlier than claimed"),
        pytest.param("acme/tiny", {"block": 6}, True, id="committed later than claimed"),
        pytest.param("acme/tiny", {"block": 6, "seen": True}, False, id="the same committed again after discovery"),
        pytest.param("acme/other", {"block": 6, "seen": True}, True, id="another one committed after discovery"),
        pytest.param("acme/tiny", {"block": None}, False, id="revealed: the chain has forgotten the block"),
        pytest.param("acme/other", {"block": None}, True, id="revealed, another repository"),
        pytest.param("acme/other", {}, True, id="another repository"),
        pytest.param(f"acme/tiny@{OTHER}", {}, True, id="another commit"),
        pytest.param("acme/other", {"claimed": None}, False, id="claims nothing"),
        pytest.param("acme/other", {"commit": None}, False, id="takes no part"),
        pytest.param("gm", {"block": 6}, False, id="a commitment about something else"),
        pytest.param("acme/other", {"repo": "volume/claim/dir"}, False, id="a model that has no name on the chain"),
    ],
)
def test_a_claim_that_the_chain_contradicts(text: str, changes: dict[str, Any], expected: bool) -> None:
    assert set(refused(text, **changes)) == ({"m"} if expected else set())


def test_a_hotkey_without_a_commitment_is_believed() -> None:
    result = ModelResult.model_validate({"model": "m", "commit": COMMIT, "repo": "acme/tiny"})
    submissions = {"m": Submission(hotkey="h", block=5)}
    assert refused_claims([result], submissions=submissions, commitments={}) == {}


def test_the_message_fits_the_status() -> None:
    assert len(refused("a" * 90 + "/" + "b" * 90 + "@" + OTHER)["m"]) <= 128
