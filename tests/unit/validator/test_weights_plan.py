"""Whether to set weights now: the whole table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import WeightsMode
from bitagent_validator.chain.facts import RAO, Subnet
from bitagent_validator.weights.plan import Failure, Intent, Progress, Sent, Step, Verdict, plan_weights
from bitagent_validator.weights.vector import Wanted

ROW = {"a": 65535, "b": 30000}
OTHER = {"a": 100, "b": 65535}
WANTED = Wanted(ROW, ("val-fc-7",))
FAILED = Failure(Reason.SUBMISSION_TIMED_OUT, "killed", retry_block=1010)
Make = Callable[..., Subnet]


def plan(subnet: Subnet, **changes: Any) -> Verdict:
    plain = {"mode": WeightsMode.SET, "version_key": 0, "wanted": WANTED, "any_round": True, "progress": Progress()}
    return plan_weights(subnet=subnet, **(plain | changes))


@pytest.mark.parametrize(
    ("changes", "facts", "expected"),
    [
        pytest.param({}, {}, (Step.SUBMIT, False, Reason.WEIGHTS_PENDING), id="never set"),
        pytest.param({}, {"row": ROW}, (Step.WAIT, True, Reason.WEIGHTS_SET), id="on the chain already"),
        pytest.param({}, {"row": OTHER}, (Step.SUBMIT, False, Reason.WEIGHTS_PENDING), id="others on the chain"),
        pytest.param(
            {},
            {"row": ROW, "me": {"last_update": 1}},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="on the chain for 999 blocks",
        ),
        pytest.param(
            {},
            {"row": ROW, "block": 1501},
            (Step.SUBMIT, True, Reason.WEIGHTS_SET),
            id="a fifth of the cutoff: refreshed",
        ),
        pytest.param(
            {},
            {"row": ROW, "block": 1500},
            (Step.SUBMIT, True, Reason.WEIGHTS_SET),
            id="the very block at which a refresh is due",
        ),
        pytest.param(
            {},
            {"row": ROW, "block": 1501, "me": {"permit": False}},
            (Step.WAIT, True, Reason.NO_PERMIT),
            id="a refresh is due and the permit is gone: the weights stand all the same",
        ),
        pytest.param(
            {"progress": Progress(failure=replace(FAILED, retry_block=1600))},
            {"row": ROW, "block": 1501},
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
            {"row": ROW, "me": {"permit": False}},
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
            id="as many miners as the subnet wants",
        ),
        pytest.param(
            {},
            {"max_weight": 30000},
            (Step.WAIT, False, Reason.SUBMISSION_FAILED),
            id="too few miners for the largest share allowed",
        ),
        pytest.param({}, {"neurons": {}}, (Step.WAIT, False, Reason.NOT_REGISTERED), id="not registered"),
        pytest.param(
            {"progress": Progress(in_flight=True)},
            {},
            (Step.WAIT, False, Reason.WEIGHTS_PENDING),
            id="being submitted, and the record of it is gone",
        ),
        pytest.param(
            {"progress": Progress(sent=Sent(WANTED.digest, 1001))},
            {"row": OTHER},
            (Step.WAIT, True, Reason.CHAIN_STALLED),
            id="a node that is behind what was set: its older row is not acted on",
        ),
        pytest.param(
            {"progress": Progress(sent=Sent(WANTED.digest, 1000))},
            {"row": OTHER},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="a node at the very block at which it was set",
        ),
        pytest.param({"mode": WeightsMode.OFF}, {}, (Step.WAIT, False, Reason.WEIGHTS_OFF), id="off"),
        pytest.param({"mode": WeightsMode.DRY_RUN}, {}, (Step.WAIT, False, Reason.DRY_RUN), id="dry run"),
        pytest.param(
            {"mode": WeightsMode.DRY_RUN, "progress": Progress(Intent(WANTED, since=400), expires=999)},
            {"row": ROW},
            (Step.WAIT, False, Reason.DRY_RUN),
            id="dry run: an intent from before is left as it is",
        ),
        pytest.param(
            {"wanted": None, "any_round": False}, {}, (Step.WAIT, False, Reason.WEIGHTS_PENDING), id="no round yet"
        ),
        pytest.param({"wanted": None}, {}, (Step.WAIT, False, Reason.NO_ELIGIBLE_MINERS), id="nobody to pay"),
        pytest.param(
            {"progress": Progress(failure=FAILED)},
            {},
            (Step.WAIT, False, Reason.SUBMISSION_TIMED_OUT),
            id="backing off",
        ),
        pytest.param(
            {"progress": Progress(failure=FAILED)},
            {"block": 1010},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="backed off",
        ),
    ],
)
def test_without_an_intent(subnet: Make, changes: Any, facts: Any, expected: tuple[Step, bool, Reason]) -> None:
    verdict = plan(subnet(**facts), **changes)
    assert (verdict.step, verdict.current, verdict.reason) == expected
    assert verdict.message


INTENT = Intent(WANTED, since=950)


@pytest.mark.parametrize(
    ("progress", "facts", "expected"),
    [
        pytest.param(Progress(INTENT, in_flight=True), {}, (Step.WAIT, Reason.WEIGHTS_PENDING), id="being submitted"),
        pytest.param(
            Progress(INTENT, in_flight=True),
            {"row": ROW, "me": {"last_update": 960}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="on the chain, and the process not back: its end is awaited",
        ),
        pytest.param(
            Progress(INTENT), {"row": ROW, "me": {"last_update": 960}}, (Step.CONFIRM, Reason.WEIGHTS_SET), id="landed"
        ),
        pytest.param(
            Progress(INTENT),
            {"row": ROW, "me": {"last_update": 950}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="the row was there before the intent: not this one",
        ),
        pytest.param(
            Progress(INTENT, expires=1200),
            {"commit_reveal": True, "me": {"last_update": 960, "registered_at": 960}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="the newer update is a registration",
        ),
        pytest.param(
            Progress(INTENT, expires=1200),
            {"row": OTHER, "me": {"last_update": 960}},
            (Step.WAIT, Reason.WEIGHTS_PENDING),
            id="someone set something else",
        ),
        pytest.param(Progress(INTENT), {"block": 9999}, (Step.WAIT, Reason.WEIGHTS_PENDING), id="expiry not known yet"),
        pytest.param(
            Progress(INTENT, expires=1000), {}, (Step.WAIT, Reason.WEIGHTS_PENDING), id="last block of its life"
        ),
        pytest.param(Progress(INTENT, expires=999), {}, (Step.FORGET, Reason.WEIGHTS_PENDING), id="expired"),
        pytest.param(
            Progress(INTENT, expires=1200, failure=FAILED),
            {},
            (Step.WAIT, Reason.SUBMISSION_TIMED_OUT),
            id="says why it waits",
        ),
        pytest.param(
            Progress(INTENT, expires=999),
            {"neurons": {}},
            (Step.FORGET, Reason.WEIGHTS_PENDING),
            id="deregistered meanwhile",
        ),
    ],
)
def test_with_an_intent(subnet: Make, progress: Progress, facts: Any, expected: tuple[Step, Reason]) -> None:
    verdict = plan(subnet(**facts), progress=progress)
    assert (verdict.step, verdict.reason) == expected


def test_a_wait_for_the_rate_limit_says_how_long(subnet: Make) -> None:
    assert "in 99 blocks, at block 1099" in plan(subnet(me={"last_update": 999})).message


SEALED = Sent(WANTED.digest, 960)


@pytest.mark.parametrize(
    ("progress", "facts", "step"),
    [
        pytest.param(Progress(INTENT), {"me": {"last_update": 960}}, Step.CONFIRM, id="a newer update is ours"),
        pytest.param(Progress(INTENT), {"me": {"last_update": 940}}, Step.WAIT, id="no newer update"),
        pytest.param(Progress(sent=SEALED), {"me": {"last_update": 960}}, Step.WAIT, id="the same row was sealed last"),
        pytest.param(
            Progress(sent=replace(SEALED, digest="sha256:0")), {}, Step.SUBMIT, id="another row was sealed last"
        ),
        pytest.param(
            Progress(sent=replace(SEALED, digest="sha256:0")),
            {"block": 1100, "me": {"last_update": 960}},
            Step.SUBMIT,
            id="another row is the one on the chain",
        ),
        pytest.param(
            Progress(sent=SEALED),
            {"block": 1100, "me": {"last_update": 960}},
            Step.WAIT,
            id="the same row, past the rate limit",
        ),
        pytest.param(
            Progress(sent=SEALED),
            {"block": 1100, "me": {"last_update": 940}},
            Step.SUBMIT,
            id="the chain's last update is older than the record: it was on a branch that is gone",
        ),
        pytest.param(
            Progress(sent=SEALED),
            {"block": 1100, "me": {"last_update": 970, "registered_at": 970}},
            Step.SUBMIT,
            id="registered anew since: its weights went with the old slot",
        ),
        pytest.param(Progress(), {"row": ROW}, Step.SUBMIT, id="no record: what is readable is an older row"),
    ],
)
def test_sealed_weights_go_by_the_record(subnet: Make, progress: Progress, facts: Any, step: Step) -> None:
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
    intent = Intent(WANTED, since) if since is not None else None
    facts = subnet(block=max(block, last_update), row=ROW if on_chain else {}, me={"last_update": last_update})
    verdict = plan(facts, progress=Progress(intent, expires=expires, in_flight=in_flight and intent is not None))
    if intent:
        assert verdict.step is not Step.SUBMIT
    if verdict.step is Step.SUBMIT and last_update:
        assert facts.block - last_update >= facts.rules.rate_limit
    if verdict.step is Step.FORGET:
        assert expires is not None
        assert facts.block > expires
