"""Whether to set weights now: the whole table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import WeightsMode
from bitagent_validator.chain.facts import RAO, Subnet
from bitagent_validator.state import Row
from bitagent_validator.weights.plan import Decision, Step, SubmissionFailure, SubmissionProgress, plan_weights

ROW = {"a": 65535, "b": 30000}
OTHER = {"a": 100, "b": 65535}
PLANNED = Row.planned(ROW, ("val-fc-7",))
FAILED = SubmissionFailure(Reason.SUBMISSION_TIMED_OUT, "killed", retry_block=1010)
Make = Callable[..., Subnet]


def pending(since: int) -> Row:
    return PLANNED.as_pending(since=since, account="20/me")


def accepted(block: int, row: Row = PLANNED) -> Row:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return row.as_pending(since=block - 1, account="20/me").as_accepted(block=block, at=at, extrinsic=f"{block}-0001")


def plan(subnet: Subnet, **changes: Any) -> Decision:
    plain = {"mode": WeightsMode.SET, "version_key": 0, "planned": PLANNED, "any_round": True}
    return plan_weights(subnet=subnet, **(plain | {"progress": SubmissionProgress()} | changes))


@pytest.mark.parametrize(
    ("changes", "facts", "expected"),
    [
        pytest.param({}, {}, (Step.SUBMIT, False, Reason.WEIGHTS_PENDING), id="never set"),
        pytest.param({}, {"weights": ROW}, (Step.WAIT, True, Reason.WEIGHTS_SET), id="on the chain already"),
        pytest.param({}, {"weights": OTHER}, (Step.SUBMIT, False, Reason.WEIGHTS_PENDING), id="others on the chain"),
        pytest.param(
            {},
            {"weights": ROW, "me": {"last_update": 1}},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="on the chain for 999 blocks",
        ),
        pytest.param(
            {},
            {"weights": ROW, "block": 1501},
            (Step.SUBMIT, True, Reason.WEIGHTS_SET),
            id="a fifth of the cutoff: refreshed",
        ),
        pytest.param(
            {},
            {"weights": ROW, "block": 1500},
            (Step.SUBMIT, True, Reason.WEIGHTS_SET),
            id="the very block at which a refresh is due",
        ),
        pytest.param(
            {},
            {"weights": ROW, "block": 1501, "me": {"permit": False}},
            (Step.WAIT, True, Reason.NO_PERMIT),
            id="a refresh is due and the permit is gone: the weights stand all the same",
        ),
        pytest.param(
            {"progress": SubmissionProgress(failure=replace(FAILED, retry_block=1600))},
            {"weights": ROW, "block": 1501},
            (Step.WAIT, True, Reason.SUBMISSION_TIMED_OUT),
            id="a refresh failed: the weights stand all the same",
        ),
        pytest.param(
            {},
            {"me": {"last_update": 901}},
            (Step.WAIT, False, Reason.RATE_LIMITED),
            id="one block before the rate limit",
        ),
        pytest.param(
            {}, {"me": {"last_update": 900}}, (Step.SUBMIT, False, Reason.WEIGHTS_PENDING), id="at the rate limit"
        ),
        pytest.param(
            {},
            {"me": {"last_update": 0}, "block": 50},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="never: no limit",
        ),
        pytest.param({}, {"me": {"permit": False}}, (Step.WAIT, False, Reason.NO_PERMIT), id="no permit"),
        pytest.param(
            {},
            {"stake_threshold": 9001 * RAO},
            (Step.WAIT, False, Reason.STAKE_TOO_LOW),
            id="stake below the threshold",
        ),
        pytest.param(
            {},
            {"stake_threshold": 9000 * RAO},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="stake at the threshold",
        ),
        pytest.param(
            {},
            {"weights": ROW, "me": {"permit": False}},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="permit lost, weights stand",
        ),
        pytest.param({}, {"version_key": 1}, (Step.WAIT, False, Reason.VERSION_KEY_TOO_LOW), id="version key below"),
        pytest.param(
            {"version_key": 1}, {"version_key": 1}, (Step.SUBMIT, False, Reason.WEIGHTS_PENDING), id="version key equal"
        ),
        pytest.param(
            {}, {"min_weights": 3}, (Step.WAIT, False, Reason.SUBMISSION_FAILED), id="fewer miners than allowed"
        ),
        pytest.param(
            {},
            {"min_weights": 2},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="as many miners as the subnet requires",
        ),
        pytest.param(
            {},
            {"max_weight": 30000},
            (Step.WAIT, False, Reason.SUBMISSION_FAILED),
            id="too few miners for the largest share allowed",
        ),
        pytest.param({}, {"neurons": {}}, (Step.WAIT, False, Reason.NOT_REGISTERED), id="not registered"),
        pytest.param(
            {"progress": SubmissionProgress(in_flight=True)},
            {},
            (Step.WAIT, False, Reason.WEIGHTS_PENDING),
            id="being submitted, and the record of it is gone",
        ),
        pytest.param(
            {"progress": SubmissionProgress(accepted=accepted(1001))},
            {"weights": OTHER},
            (Step.WAIT, True, Reason.CHAIN_STALLED),
            id="a node that is behind what was set: its older row is not acted on",
        ),
        pytest.param(
            {"progress": SubmissionProgress(accepted=accepted(1000))},
            {"weights": OTHER},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="a node at the very block at which it was set",
        ),
        pytest.param({"mode": WeightsMode.OFF}, {}, (Step.WAIT, False, Reason.WEIGHTS_OFF), id="off"),
        pytest.param({"mode": WeightsMode.DRY_RUN}, {}, (Step.WAIT, False, Reason.DRY_RUN), id="dry run"),
        pytest.param(
            {"mode": WeightsMode.DRY_RUN, "progress": SubmissionProgress(pending(since=400), expires=999)},
            {"weights": ROW},
            (Step.WAIT, False, Reason.DRY_RUN),
            id="dry run: a pending row from before is left as it is",
        ),
        pytest.param(
            {"planned": None, "any_round": False}, {}, (Step.WAIT, False, Reason.WEIGHTS_PENDING), id="no round yet"
        ),
        pytest.param({"planned": None}, {}, (Step.WAIT, False, Reason.NO_ELIGIBLE_MINERS), id="no hotkey to pay"),
        pytest.param(
            {"planned": None, "policy_problem": "no policy X"},
            {"weights": ROW},
            (Step.WAIT, False, Reason.POLICY_UNAVAILABLE),
            id="a policy that cannot be applied",
        ),
        pytest.param(
            {"planned": None, "any_round": False, "policy_problem": "no policy X"},
            {},
            (Step.WAIT, False, Reason.POLICY_UNAVAILABLE),
            id="a policy that cannot be applied, before any round is complete",
        ),
        pytest.param(
            {"mode": WeightsMode.OFF, "planned": None, "policy_problem": "no policy X"},
            {},
            (Step.WAIT, False, Reason.WEIGHTS_OFF),
            id="off: no policy is applied",
        ),
        pytest.param(
            {"progress": SubmissionProgress(failure=FAILED)},
            {},
            (Step.WAIT, False, Reason.SUBMISSION_TIMED_OUT),
            id="backing off",
        ),
        pytest.param(
            {"progress": SubmissionProgress(failure=FAILED)},
            {"block": 1010},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="backed off",
        ),
    ],
)
def test_without_a_pending_row(subnet: Make, changes: Any, facts: Any, expected: tuple[Step, bool, Reason]) -> None:
    decision = plan(subnet(**facts), **changes)
    assert (decision.step, decision.current, decision.reason) == expected
    assert decision.message


PENDING = pending(since=950)


@pytest.mark.parametrize(
    ("progress", "facts", "expected"),
    [
        pytest.param(
            SubmissionProgress(PENDING, in_flight=True), {}, (Step.WAIT, Reason.WEIGHTS_PENDING), id="being submitted"
        ),
        pytest.param(
            SubmissionProgress(PENDING, in_flight=True),
            {"weights": ROW, "me": {"last_update": 960}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="on the chain, and the process not back: its end is awaited",
        ),
        pytest.param(
            SubmissionProgress(PENDING),
            {"weights": ROW, "me": {"last_update": 960}},
            (Step.CONFIRM, Reason.WEIGHTS_SET),
            id="landed",
        ),
        pytest.param(
            SubmissionProgress(PENDING),
            {"weights": ROW, "me": {"last_update": 950}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="the weights were there before the row was recorded: not this one",
        ),
        pytest.param(
            SubmissionProgress(PENDING, expires=1200),
            {"commit_reveal": True, "me": {"last_update": 960, "registered_at": 960}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="the newer update is a registration",
        ),
        pytest.param(
            SubmissionProgress(PENDING, expires=1200),
            {"weights": OTHER, "me": {"last_update": 960}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="other weights were set",
        ),
        pytest.param(
            SubmissionProgress(PENDING), {"block": 9999}, (Step.WAIT, Reason.WEIGHTS_PENDING), id="expiry not known yet"
        ),
        pytest.param(
            SubmissionProgress(PENDING, expires=1000),
            {},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="last block of its life",
        ),
        pytest.param(
            SubmissionProgress(PENDING, expires=999), {}, (Step.DISCARD, Reason.WEIGHTS_PENDING), id="expired"
        ),
        pytest.param(
            SubmissionProgress(PENDING, expires=1200, failure=FAILED),
            {},
            (Step.WAIT, Reason.SUBMISSION_TIMED_OUT),
            id="says why it waits",
        ),
        pytest.param(
            SubmissionProgress(PENDING, expires=999),
            {"neurons": {}},
            (Step.DISCARD, Reason.WEIGHTS_PENDING),
            id="deregistered meanwhile",
        ),
    ],
)
def test_with_a_pending_row(
    subnet: Make, progress: SubmissionProgress, facts: Any, expected: tuple[Step, Reason]
) -> None:
    decision = plan(subnet(**facts), progress=progress)
    assert (decision.step, decision.reason) == expected


def test_a_wait_for_the_rate_limit_says_how_long(subnet: Make) -> None:
    assert "in 99 blocks, at block 1099" in plan(subnet(me={"last_update": 999})).message


SEALED = accepted(960)
OTHER_SEALED = accepted(960, Row.planned(OTHER, ("val-fc-6",)))


@pytest.mark.parametrize(
    ("progress", "facts", "step"),
    [
        pytest.param(
            SubmissionProgress(PENDING), {"me": {"last_update": 960}}, Step.CONFIRM, id="a newer update is ours"
        ),
        pytest.param(SubmissionProgress(PENDING), {"me": {"last_update": 940}}, Step.WAIT, id="no newer update"),
        pytest.param(
            SubmissionProgress(accepted=SEALED),
            {"me": {"last_update": 960}},
            Step.WAIT,
            id="the same row was sealed last",
        ),
        pytest.param(SubmissionProgress(accepted=OTHER_SEALED), {}, Step.SUBMIT, id="another row was sealed last"),
        pytest.param(
            SubmissionProgress(accepted=OTHER_SEALED),
            {"block": 1100, "me": {"last_update": 960}},
            Step.SUBMIT,
            id="another row is the one on the chain",
        ),
        pytest.param(
            SubmissionProgress(accepted=SEALED),
            {"block": 1100, "me": {"last_update": 960}},
            Step.WAIT,
            id="the same row, past the rate limit",
        ),
        pytest.param(
            SubmissionProgress(accepted=SEALED),
            {"block": 1100, "me": {"last_update": 940}},
            Step.SUBMIT,
            id="the chain's last update is older than the record: it was on a branch that is gone",
        ),
        pytest.param(
            SubmissionProgress(accepted=SEALED),
            {"block": 1100, "me": {"last_update": 970, "registered_at": 970}},
            Step.SUBMIT,
            id="registered again since: its weights went with the old slot",
        ),
        pytest.param(
            SubmissionProgress(), {"weights": ROW}, Step.SUBMIT, id="no record: what is readable is an older row"
        ),
    ],
)
def test_sealed_weights_go_by_the_record(subnet: Make, progress: SubmissionProgress, facts: Any, step: Step) -> None:
    assert plan(subnet(commit_reveal=True, **facts), progress=progress).step is step


@given(
    block=st.integers(1, 3000),
    last_update=st.integers(0, 1000),
    on_chain=st.booleans(),
    since=st.none() | st.integers(0, 1000),
    expires=st.none() | st.integers(0, 3000),
    in_flight=st.booleans(),
)
def test_never_sends_while_another_may_land(
    subnet: Make, block: int, last_update: int, on_chain: bool, since: int | None, expires: int | None, in_flight: bool
) -> None:
    row = pending(since) if since is not None else None
    facts = subnet(block=max(block, last_update), weights=ROW if on_chain else {}, me={"last_update": last_update})
    decision = plan(facts, progress=SubmissionProgress(row, expires=expires, in_flight=in_flight and row is not None))
    if row:
        assert decision.step is not Step.SUBMIT
    if decision.step is Step.SUBMIT and last_update:
        assert facts.block - last_update >= facts.rules.rate_limit
    if decision.step is Step.DISCARD:
        assert expires is not None
        assert facts.block > expires
