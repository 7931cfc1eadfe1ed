"""Claims to a commitment, compared with the chain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import ModelResult
from bitagent_crds.policies import UnsupportedClaims
from bitagent_validator.chain.facts import Commitment
from bitagent_validator.competitions.claims import Claims, Named, compare_claims, named_model
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
        pytest.param('{"": ' + "[" * 1000, None, id="JSON as deep as what is revealed may be"),
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


def compared(
    text: str | None, *, block: int | None = 5, claimed: int | None = 5, seen: bool = False, **result: Any
) -> Claims:
    """Compare the claim of a model beside one that its own hotkey's commitment supports."""
    fields = {"model": "m", "commit": COMMIT, "repo": "acme/tiny"} | result
    rival = {"model": "n", "commit": OTHER, "repo": "acme/rival"}
    rival_text = f"acme/rival@{OTHER}"
    return compare_claims(
        [ModelResult.model_validate(each) for each in (fields, rival)],
        submissions={"m": Submission(hotkey="h", block=claimed), "n": Submission(hotkey="r", block=3)},
        commitments={
            "r": Commitment(rival_text, 3),
            **({} if text is None else {"h": Commitment(text, block)}),
        },
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
    assert set(compared(text, **changes).contradicted) == ({"m"} if expected else set())


@pytest.mark.parametrize(
    ("text", "changes", "supported"),
    [
        pytest.param(None, {}, False, id="no commitment"),
        pytest.param("gm", {}, False, id="a commitment about something else"),
        pytest.param("", {}, False, id="a sealed one"),
        pytest.param("acme/tiny", {"block": None}, False, id="revealed, without a block"),
        pytest.param("acme/tiny", {"repo": "volume/c/d"}, False, id="a volume's files"),
        pytest.param("acme/tiny", {}, False, id="a repository, whatever is in it later"),
        pytest.param("acme/tiny@main", {"block": 4}, False, id="its branch"),
        pytest.param(f"acme/tiny@{COMMIT[:39]}", {}, False, id="a part of the commit's digits, which others can have"),
        pytest.param(f"acme/tiny@{COMMIT}", {}, True, id="a commitment of that block"),
        pytest.param(f"acme/tiny@{COMMIT}", {"block": 4}, True, id="an earlier one"),
        pytest.param("acme/tiny", {"seen": True}, True, id="a repository that discovery resolved"),
        pytest.param(None, {"seen": True}, True, id="found by discovery, as of an axon"),
        pytest.param("acme/tiny", {"block": None, "seen": True}, True, id="revealed, found by discovery"),
        pytest.param(None, {"claimed": None}, True, id="claims no block"),
    ],
)
def test_a_claim_that_the_chain_does_not_support(text: str | None, changes: dict[str, Any], supported: bool) -> None:
    claims = compared(text, **changes)
    assert claims.contradicted == {} and set(claims.unsupported) == (set() if supported else {"m"})
    assert claims.refused(UnsupportedClaims.BELIEVE) == {}
    assert claims.refused(UnsupportedClaims.REFUSE) == claims.unsupported


@pytest.mark.parametrize("unsupported", UnsupportedClaims)
def test_what_the_chain_contradicts_is_never_believed(unsupported: UnsupportedClaims) -> None:
    assert set(compared("acme/other").refused(unsupported)) == {"m"}


def test_the_message_fits_the_status() -> None:
    assert len(compared("a" * 90 + "/" + "b" * 90 + "@" + OTHER).contradicted["m"]) <= 128
