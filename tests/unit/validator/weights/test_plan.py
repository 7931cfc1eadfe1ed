"""Whether to set weights now: the whole table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import WeightsMode
from bitagent_validator.chain.facts import RAO, Commit, Subnet
from bitagent_validator.state.rows import Reveal, Row
from bitagent_validator.weights.obstacles import Obstacle
from bitagent_validator.weights.plan import (
    Decision,
    Step,
    SubmissionFailure,
    SubmissionProgress,
    plan_weights,
)

ROW = {"a": 65535, "b": 30000}
OTHER = {"a": 100, "b": 65535}
PLANNED = Row.planned(ROW, ("val-fc-7",))
FAILED = SubmissionFailure(Reason.SUBMISSION_TIMED_OUT, "killed", retry_block=1010)
Make = Callable[..., Subnet]
UIDS = {"a": 1, "b": 2}


def pending(since: int) -> Row:
    return PLANNED.as_pending(since=since, account="20/me", uids=UIDS)


def accepted(
    block: int, row: Row = PLANNED, reveal: Reveal = Reveal.OPEN, uids: Mapping[str, int] | None = None
) -> Row:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    sent = row.as_pending(since=block - 1, account="20/me", uids=uids or UIDS)
    return sent.as_accepted(block=block, at=at, extrinsic=f"{block}-0001", reveal=reveal)


def commit(digest: str, block: int) -> Commit:
    return Commit(epoch=7, block=block, digest=digest)


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
            {"weights": ROW, "me": {"last_update": 11}},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="on the chain for 989 blocks",
        ),
        pytest.param(
            {},
            {"weights": ROW, "block": 1501},
            (Step.SUBMIT, True, Reason.WEIGHTS_SET),
            id="a fifth of the cutoff: refreshed",
        ),
        pytest.param(
            {},
            {"weights": ROW, "me": {"last_update": 1000}, "rate_limit": 0, "activity_cutoff": 4},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="a cutoff of a few blocks: not twice in one block",
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
            {"mechanism": 1, "mechanism_count": 1},
            (Step.WAIT, False, Reason.MECHANISM_NOT_FOUND),
            id="V16: the subnet has no such mechanism any more",
        ),
        pytest.param(
            {},
            {"mechanism": 1, "mechanism_count": 2},
            (Step.SUBMIT, False, Reason.WEIGHTS_PENDING),
            id="the last of two mechanisms",
        ),
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
            {"weights": ROW, "uid_weights": {7: 65535, 8: 30000}, "me": {"last_update": 960}},
            (Step.CONFIRM, Reason.WEIGHTS_SET),
            id="landed, and the subnet was made smaller: its slots have other numbers",
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
            (Step.WAIT, Reason.FOREIGN_WEIGHTS),
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


SEALED = accepted(960, reveal=Reveal.PENDING)
OTHER_SEALED = accepted(960, Row.planned(OTHER, ("val-fc-6",)), reveal=Reveal.PENDING)


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
        pytest.param(SubmissionProgress(), {"weights": ROW}, Step.WAIT, id="no record, and the row is readable"),
        pytest.param(
            SubmissionProgress(),
            {"weights": ROW, "commits": (commit("0x1", 960),)},
            Step.SUBMIT,
            id="no record, and a sealed row that no one knows will replace what is readable",
        ),
    ],
)
def test_sealed_weights_go_by_the_record(subnet: Make, progress: SubmissionProgress, facts: Any, step: Step) -> None:
    assert plan(subnet(commit_reveal=True, **facts), progress=progress).step is step


def sealed(**changes: Any) -> Row:
    """An accepted row that was committed in epoch 7."""
    return accepted(960, reveal=Reveal.PENDING).model_copy(update={"epoch": 7, "commit": "0xours"} | changes)


SENT = {"commit_reveal": True, "block": 1100, "me": {"last_update": 960}}


@pytest.mark.parametrize(
    ("row", "facts", "expected"),
    [
        pytest.param(sealed(), {"epoch": 7}, (Step.WAIT, False, Reason.REVEAL_PENDING), id="its epoch has not come"),
        pytest.param(sealed(), {"epoch": 8}, (Step.WAIT, False, Reason.REVEAL_PENDING), id="its epoch has come"),
        pytest.param(
            sealed(), {"epoch": 9}, (Step.SUBMIT, False, Reason.REVEAL_MISSED), id="its epoch is over: dropped"
        ),
        pytest.param(
            sealed(), {"epoch": 9, "weights": OTHER}, (Step.SUBMIT, False, Reason.REVEAL_MISSED), id="the old row stays"
        ),
        pytest.param(
            sealed(),
            {"epoch": 9, "rate_limit": 200},
            (Step.WAIT, False, Reason.REVEAL_MISSED),
            id="dropped, and the rate limit is not over: the reason stays",
        ),
        pytest.param(sealed(), {"epoch": 8, "weights": ROW}, (Step.REVEALED, True, Reason.WEIGHTS_SET), id="revealed"),
        pytest.param(
            sealed(),
            {"epoch": 8, "weights": ROW, "commits": ("0xours",)},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="the same row as before, not revealed yet",
        ),
        pytest.param(
            sealed(reveal=Reveal.REVEALED),
            {"epoch": 30, "weights": ROW},
            (Step.WAIT, True, Reason.WEIGHTS_SET),
            id="revealed long ago",
        ),
        pytest.param(
            sealed(),
            {"epoch": 9, "me": {"last_update": 960, "permit": False}},
            (Step.WAIT, False, Reason.NO_PERMIT),
            id="dropped, as the permit is gone: the cause",
        ),
        pytest.param(
            sealed(),
            {"epoch": 8, "me": {"last_update": 990}, "commits": ("0xtheirs",)},
            (Step.WAIT, False, Reason.FOREIGN_WEIGHTS),
            id="another process committed since",
        ),
        pytest.param(
            sealed(),
            {"epoch": 8, "me": {"last_update": 990}, "commits": ("0xours",)},
            (Step.WAIT, False, Reason.REVEAL_PENDING),
            id="the same commit in a later block: the chain was reorganised",
        ),
    ],
)
def test_sealed_is_not_set(subnet: Make, row: Row, facts: Any, expected: tuple[Step, bool, Reason]) -> None:
    changed = SENT | facts
    changed["commits"] = tuple(commit(digest, changed["me"]["last_update"]) for digest in facts.get("commits", ()))
    decision = plan(subnet(**changed), progress=SubmissionProgress(accepted=row))
    assert (decision.step, decision.current, decision.reason) == expected


@pytest.mark.parametrize(
    ("commits", "step"),
    [
        pytest.param(("0xours",), Step.CONFIRM, id="ours, by its bytes"),
        pytest.param(("0xtheirs",), Step.WAIT, id="another's"),
        pytest.param(("0xtheirs", "0xours"), Step.CONFIRM, id="both"),
    ],
)
def test_a_commit_is_recognised_by_its_bytes(subnet: Make, commits: tuple[str, ...], step: Step) -> None:
    row = PENDING.model_copy(update={"commit": "0xours"})
    facts = subnet(commit_reveal=True, me={"last_update": 960}, commits=tuple(commit(c, 960) for c in commits))
    assert plan(facts, progress=SubmissionProgress(row, expires=1200)).step is step


@pytest.mark.parametrize(
    ("facts", "skew", "expected"),
    [
        pytest.param({}, -40.0, (Step.WAIT, Reason.CLOCK_SKEW), id="the clock is behind"),
        pytest.param({}, 90.0, (Step.WAIT, Reason.CLOCK_SKEW), id="the clock is ahead"),
        pytest.param({}, None, (Step.SUBMIT, Reason.WEIGHTS_PENDING), id="the clock fits"),
        pytest.param(
            {"commit_reveal": False}, 90.0, (Step.SUBMIT, Reason.WEIGHTS_PENDING), id="open rows need no clock"
        ),
    ],
)
def test_a_wrong_clock_stops_sealed_rows(subnet: Make, facts: Any, skew: float, expected: tuple[Step, Reason]) -> None:
    decision = plan(subnet(**({"commit_reveal": True} | facts)), skew=skew)
    assert (decision.step, decision.reason) == expected


def test_a_sealed_row_that_is_too_long_names_the_number_that_fits(subnet: Make, neuron: Callable[..., Any]) -> None:
    hotkeys = [f"h{number}" for number in range(1200)]
    neurons = subnet().neurons | {h: neuron(h, uid=10 + n) for n, h in enumerate(hotkeys)}
    row = Row.planned(dict.fromkeys(hotkeys, 65535), ("r",))
    decision = plan(subnet(commit_reveal=True, neurons=neurons), planned=row)
    assert decision.reason is Reason.ROW_TOO_LONG
    assert "1177" in decision.message
    assert plan(subnet(neurons=neurons), planned=row).step is Step.SUBMIT


@pytest.mark.parametrize(
    ("facts", "row", "expected"),
    [
        pytest.param(
            {"owner_hotkey": "me", "me": {"permit": False}}, ROW, (Step.SUBMIT, Reason.WEIGHTS_PENDING), id="owner"
        ),
        pytest.param(
            {"owner_hotkey": "me", "me": {"permit": False, "stake": 0}, "stake_threshold": 1000 * RAO},
            ROW,
            (Step.SUBMIT, Reason.WEIGHTS_PENDING),
            id="the owner's hotkey needs no stake",
        ),
        pytest.param(
            {"owner_hotkey": "a", "me": {"permit": False}}, ROW, (Step.WAIT, Reason.NO_PERMIT), id="another's subnet"
        ),
        pytest.param(
            {"me": {"permit": False}, "min_weights": 3, "max_weight": 100},
            {"me": 65535},
            (Step.SUBMIT, Reason.WEIGHTS_PENDING),
            id="a single weight for oneself is exempt from permit, length and largest share",
        ),
        pytest.param(
            {"me": {"stake": 0}, "stake_threshold": 1000 * RAO},
            {"me": 65535},
            (Step.WAIT, Reason.STAKE_TOO_LOW),
            id="but not from the stake",
        ),
        pytest.param(
            {"min_weights": 9},
            {"me": 1, "a": 2, "b": 3},
            (Step.SUBMIT, Reason.WEIGHTS_PENDING),
            id="all hotkeys: enough",
        ),
    ],
)
def test_what_the_pallet_exempts(subnet: Make, facts: Any, row: Any, expected: tuple[Step, Reason]) -> None:
    decision = plan(subnet(**facts), planned=Row.planned(row, ("r",)))
    assert (decision.step, decision.reason) == expected


@pytest.mark.parametrize(
    ("progress", "facts", "expected"),
    [
        pytest.param(
            accepted(700),
            {"weights": {"a": 7}, "me": {"last_update": 880}},
            (Step.WAIT, Reason.FOREIGN_WEIGHTS),
            id="V4",
        ),
        pytest.param(
            accepted(700),
            {"weights": ROW, "me": {"last_update": 880}},
            (Step.WAIT, Reason.WEIGHTS_SET),
            id="the row is ours: the chain was reorganised",
        ),
        pytest.param(
            accepted(700),
            {"weights": {"a": 7}, "me": {"last_update": 880}, "block": 880 + 2500},
            (Step.SUBMIT, Reason.WEIGHTS_PENDING),
            id="quiet for half of the activity cutoff",
        ),
        pytest.param(
            accepted(700),
            {"weights": {}, "me": {"last_update": 880, "registered_at": 880}},
            (Step.SUBMIT, Reason.WEIGHTS_PENDING),
            id="a registration is no setting",
        ),
        pytest.param(
            None, {"weights": {"a": 7}}, (Step.SUBMIT, Reason.WEIGHTS_PENDING), id="taken over without a record"
        ),
    ],
)
def test_another_process_is_recognised_and_not_fought(
    subnet: Make, progress: Row | None, facts: Any, expected: tuple[Step, Reason]
) -> None:
    decision = plan(subnet(**facts), progress=SubmissionProgress(accepted=progress))
    assert (decision.step, decision.reason) == expected


EARLIER = Row.planned(OTHER, ("val-fc-6",))


@pytest.mark.parametrize(
    ("facts", "known", "expected"),
    [
        pytest.param({"weights": OTHER}, True, (Step.SUBMIT, Reason.WEIGHTS_PENDING), id="it replaced the open row"),
        pytest.param(
            {"weights": OTHER, "rate_limit": 400}, True, (Step.WAIT, Reason.RATE_LIMITED), id="and counts for the limit"
        ),
        pytest.param({"weights": OTHER}, False, (Step.WAIT, Reason.FOREIGN_WEIGHTS), id="a row that was never sealed"),
        pytest.param({"weights": {}}, True, (Step.WAIT, Reason.FOREIGN_WEIGHTS), id="a row that is not readable"),
        pytest.param(
            {"weights": ROW, "commit_reveal": True},
            True,
            (Step.WAIT, Reason.WEIGHTS_SET),
            id="it was the same row, and rows are sealed again since",
        ),
        pytest.param(
            {"weights": ROW, "commit_reveal": True, "commits": (commit("0xtheirs", 880),)},
            True,
            (Step.WAIT, Reason.FOREIGN_WEIGHTS),
            id="another process has committed at that block",
        ),
    ],
)
def test_a_sealed_row_that_opens_after_rows_are_open_is_no_other_process(
    subnet: Make, facts: Any, known: bool, expected: tuple[Step, Reason]
) -> None:
    """The owner ended commit-reveal; a row was set openly at 700, and an earlier sealed one was applied at 880."""
    progress = SubmissionProgress(
        accepted=accepted(700), unopened=frozenset({EARLIER.digest, PLANNED.digest} if known else ())
    )
    decision = plan(subnet(me={"last_update": 880}, **facts), progress=progress)
    assert (decision.step, decision.reason) == expected


def test_a_slot_that_changed_hands_is_named_and_the_row_set_again(subnet: Make, neuron: Callable[..., Any]) -> None:
    """V28: set at 995, but slot 1 is c's since 993."""
    neurons = subnet(me={"last_update": 995}).neurons | {"c": neuron("c", uid=1, registered_at=993)}
    del neurons["a"]
    facts = subnet(neurons=neurons, weights={"c": 65535, "b": 30000})
    assert plan(facts, progress=SubmissionProgress(pending(990), expires=1200)).step is Step.CONFIRM
    now = plan(facts, planned=Row.planned({"b": 65535}, ("r",)), progress=SubmissionProgress(accepted=accepted(995)))
    assert (now.step, now.reason) == (Step.WAIT, Reason.RATE_LIMITED)
    assert "slot 1 of a is c's now" in now.message
    later = plan(
        replace(facts, block=1095),
        planned=Row.planned({"b": 65535}, ("r",)),
        progress=SubmissionProgress(accepted=accepted(995)),
    )
    assert later.step is Step.SUBMIT


@pytest.mark.parametrize(
    ("weights", "burnt", "target", "expected"),
    [
        pytest.param({"a": 6553, "b": 65535}, {"b": 65535}, "b", None, id="the same owner"),
        pytest.param({"a": 6553, "b": 65535}, {"b": 65535}, "c", {"a": 6553, "c": 65535}, id="another owner"),
        pytest.param({"a": 6553, "b": 65535}, {"b": 65535}, "a", {"a": 65535}, id="a miner owns it now"),
        pytest.param({"a": 6553, "b": 65535}, {"b": 65535}, "", {"a": 65535}, id="no owner with a slot"),
        pytest.param(
            {"a": 65535, "b": 60000},
            {"b": 20000},
            "c",
            {"a": 65535, "b": 40000, "c": 20000},
            id="the former owner keeps what it has earned",
        ),
        pytest.param({"a": 65535, "b": 1}, {"b": 1}, "c", None, id="a filler: less than the chain rounds"),
        pytest.param({"b": 65535}, {"b": 65535}, "", {}, id="all was burnt, and there is no target: it stays"),
        pytest.param({"a": 65535, "b": 9}, {}, "c", None, id="nothing was burnt"),
    ],
)
def test_the_last_row_does_not_pay_a_former_owner(
    subnet: Make, neuron: Callable[..., Any], weights: Any, burnt: Any, target: str, expected: Any
) -> None:
    last = accepted(800, Row.planned(weights, ("val-fc-6",), burnt), uids={"a": 1, "b": 2})
    neurons = subnet(me={"last_update": 800}).neurons | {"c": neuron("c", uid=3)}
    facts = subnet(neurons=neurons, weights=weights, block=1000)
    decision = plan(facts, planned=None, progress=SubmissionProgress(accepted=last), target=target)
    if not expected:
        assert (decision.step, decision.row) == (Step.WAIT, None)
        return
    assert (decision.step, decision.reason) == (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT)
    assert decision.row is not None
    assert decision.row.weights == {hotkey: pytest.approx(value, abs=1) for hotkey, value in expected.items()}
    assert set(decision.row.burnt) == ({target} if target else set())


def test_the_last_row_is_set_again_at_once_if_a_slot_changed_hands(subnet: Make, neuron: Callable[..., Any]) -> None:
    neurons = subnet(me={"last_update": 800}).neurons | {"c": neuron("c", uid=1, registered_at=993)}
    del neurons["a"]
    facts = subnet(neurons=neurons, weights={"c": 65535, "b": 30000}, block=1000)
    decision = plan(facts, planned=None, progress=SubmissionProgress(accepted=accepted(800)))
    assert (decision.step, decision.reason) == (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT)
    assert decision.row is not None
    assert decision.row.weights == {"b": 65535}


def test_a_target_that_registered_later_is_set_again(subnet: Make, neuron: Callable[..., Any]) -> None:
    """The chain ignores what was set before the registration of the same hotkey on the same slot."""
    neurons = subnet(me={"last_update": 800}).neurons | {"a": neuron("a", uid=1, registered_at=850)}
    facts = subnet(neurons=neurons, weights=ROW)
    decision = plan(facts, progress=SubmissionProgress(accepted=accepted(800)))
    assert (decision.step, decision.current) == (Step.SUBMIT, False)
    assert "a has registered since" in decision.message


HELD = Obstacle(Reason.GUARD_HELD, "few models")


@pytest.mark.parametrize(
    ("changes", "facts", "expected"),
    [
        pytest.param({"held": HELD}, {}, (Step.WAIT, Reason.GUARD_HELD), id="held, and nothing is due"),
        pytest.param(
            {"held": HELD}, {"block": 1900}, (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT), id="the last row is due"
        ),
        pytest.param(
            {"planned": None},
            {"block": 1900},
            (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT),
            id="no miner: the last row is due",
        ),
        pytest.param(
            {"planned": None, "policy_problem": "no policy X"},
            {"block": 1900},
            (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT),
            id="no policy: the last row is due",
        ),
        pytest.param(
            {"planned": None, "any_round": False},
            {"block": 1900},
            (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT),
            id="no round",
        ),
        pytest.param(
            {"held": HELD},
            {"block": 1900, "me": {"last_update": 800, "permit": False}},
            (Step.WAIT, Reason.GUARD_HELD),
            id="due, and the permit is gone",
        ),
        pytest.param({"held": HELD, "mode": WeightsMode.DRY_RUN}, {}, (Step.WAIT, Reason.GUARD_HELD), id="dry run"),
    ],
)
def test_the_last_good_row_is_set_again_before_it_expires(
    subnet: Make, changes: Any, facts: Any, expected: tuple[Step, Reason]
) -> None:
    last = accepted(800, Row.planned(OTHER, ("val-fc-6",)))
    given_ = {"weights": OTHER, "me": {"last_update": 800}, "block": 1000} | facts
    decision = plan(subnet(**given_), progress=SubmissionProgress(accepted=last), **changes)
    assert (decision.step, decision.reason, decision.current) == (*expected, False)
    if decision.row:
        assert decision.row.weights == OTHER


@pytest.mark.parametrize(
    ("rules", "row"),
    [
        pytest.param({}, {"a": 65535}, id="scaled as the chain stores it, so that it is recognised"),
        pytest.param({"min_weights": 2}, {"a": 65535, "me": 1}, id="filled, as it is too short now"),
    ],
)
def test_the_last_row_without_a_hotkey_that_lost_its_slot(subnet: Make, rules: Any, row: Any) -> None:
    last = accepted(800, Row.planned(OTHER, ("val-fc-6",)))
    full = subnet(me={"last_update": 800}, block=1900, **rules)
    left = {h: n for h, n in full.neurons.items() if h != "b"}
    now = replace(full, neurons=left, weights={"a": 100, "uid 2": 65535}, uid_weights={1: 100, 2: 65535})
    decision = plan(now, planned=None, progress=SubmissionProgress(accepted=last))
    assert (decision.step, decision.reason) == (Step.SUBMIT, Reason.LAST_WEIGHTS_KEPT)
    assert decision.row
    assert decision.row.weights == row


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
