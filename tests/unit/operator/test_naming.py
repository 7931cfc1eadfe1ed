"""Names: deterministic, distinct, and short enough for a label."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.names import control_key, evaluation_key, short_hash
from bitagent_crds.validator import Validator
from bitagent_operator import naming


def names(longest: int) -> st.SearchStrategy[str]:
    return st.from_regex(rf"[a-z0-9]([-a-z0-9]{{0,{longest - 2}}}[a-z0-9])?", fullmatch=True).filter(
        lambda n: len(n) <= longest
    )


KEY = control_key(evaluation_key("sha256:1", prompt_format="Auto", engine="{}"))
ATTEMPTS = st.integers(1, naming.MAX_ATTEMPTS)


@given(names(MinerModel.crd.name_max), ATTEMPTS)
def test_fetch_jobs_fit(model: str, attempt: int) -> None:
    assert len(naming.fetch_job_name(model, need=short_hash(model), attempt=attempt)) <= 63


@given(names(EvalRound.crd.name_max), ATTEMPTS)
def test_round_jobs_fit(name: str, attempt: int) -> None:
    assert len(naming.round_job_name(name, key=KEY, attempt=attempt)) <= 63
    assert len(naming.round_job_name(name, key=naming.TASKS_KEY, attempt=attempt)) <= 63
    assert len(naming.round_job_name(name, key=naming.TASKS_KEY, attempt=attempt, series=2**31)) <= 63


@given(st.from_regex(r"[a-z0-9]([-.a-z0-9]{0,46}[a-z0-9])?", fullmatch=True), ATTEMPTS, st.integers(0, 3))
def test_pods_of_shards_have_their_jobs_name_as_a_label(name: str, attempt: int, series: int) -> None:
    found = naming.round_job_name(name, key=KEY, attempt=attempt, series=series, indexed=True)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", f"{found}-63")


def test_shards_of_rounds_with_alike_names_have_their_own() -> None:
    rounds = ["a-b", "a.b", "r" * 45, "r" * 46]
    assert len({naming.round_job_name(name, key=KEY, attempt=1, indexed=True) for name in rounds}) == len(rounds)


@given(names(Validator.crd.name_max))
def test_validator_objects_fit(name: str) -> None:
    assert len(naming.validator_objects_name(name)) <= 63


@given(names(48), names(52), ATTEMPTS)
def test_a_rounds_and_a_models_jobs_never_share_a_name(name: str, model: str, attempt: int) -> None:
    fetch = naming.fetch_job_name(model, need=short_hash(model), attempt=attempt)
    own = {naming.round_job_name(name, key=k, attempt=attempt) for k in (naming.TASKS_KEY, KEY)}
    assert fetch not in own


@given(st.integers(0, 50), st.integers(0, 50), ATTEMPTS, ATTEMPTS, st.sampled_from([KEY, naming.TASKS_KEY]))
def test_jobs_of_two_series_never_share_a_name(one: int, other: int, first: int, second: int, key: str) -> None:
    names = {naming.round_job_name("r", key=key, attempt=a, series=s) for a, s in ((first, one), (second, other))}
    assert len(names) == len({(first, one), (second, other)})
    assert (naming.series_label(one) == naming.series_label(other)) == (one == other)


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 63"):
        naming.attempt_name("n" * 62, 2)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=3), st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_hashes_know_where_parts_end(one: list[str], other: list[str]) -> None:
    assert (short_hash(*one, digits=64) == short_hash(*other, digits=64)) == (one == other)


@pytest.mark.parametrize(
    ("validator", "service"),
    [("v", "v-rewriter"), ("a.b", "rewriter-[0-9a-f]{12}"), ("1a", "rewriter-[0-9a-f]{12}")],
    ids=["plain", "dot", "digit"],
)
def test_the_name_of_a_rewriters_service_is_one_that_services_may_have(validator: str, service: str) -> None:
    assert re.fullmatch(service, naming.rewriter_service(validator))
