"""Which model was first: blocks, creation times, and what the chain's clock makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.model_result import ModelResult
from bitagent_operator.observed.objects import ChainClock
from bitagent_operator.plan.rounds.seniority import seniority

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

CREATED = 1_000_000.0
"""Seconds after T0 at which the round was created, at block 5,000 of 12 seconds each."""


def first(make: Make, *, clocked: bool, **models: dict[str, Any]) -> str:
    clock = ChainClock(5000, make.at(CREATED), 12.0) if clocked else None
    made = {name: make.model(name, **fields) for name, fields in models.items()}
    entries = [ModelResult(model=name) for name in models]
    keys = seniority(entries, made, clock)
    return min(keys, key=keys.__getitem__)


LATER = CREATED + 12
"""Block 5,001."""


@pytest.mark.parametrize("clocked", [True, False], ids=["a validator's round", "a person's round"])
@pytest.mark.parametrize(
    ("original", "copy"),
    [
        pytest.param({"commit_block": 7}, {"commit_block": 8}, id="blocks"),
        pytest.param({"commit_block": 7, "created": 9}, {"commit_block": 8}, id="blocks, whatever the objects' age"),
        pytest.param({"commit_block": 7}, {"commit_block": 7, "created": 1}, id="equal blocks"),
        pytest.param({}, {"created": 1}, id="none has a block"),
        pytest.param({"created": CREATED}, {"created": LATER, "commit_block": 10**9}, id="a copy claims a late block"),
    ],
)
def test_who_was_first(make: Make, clocked: bool, original: dict[str, Any], copy: dict[str, Any]) -> None:
    assert first(make, clocked=clocked, copy=copy, original=original) == "original"


@pytest.mark.parametrize(
    ("block", "winner"),
    [
        pytest.param(4999, "committed", id="a block before the object"),
        pytest.param(5001, "uncommitted", id="a block after the object"),
    ],
)
def test_a_model_without_a_block_loses_only_to_blocks_before_its_object(make: Make, block: int, winner: str) -> None:
    """Whenever the object of the model with a block was created."""
    uncommitted, committed = {"created": CREATED}, {"created": LATER, "commit_block": block}
    assert first(make, clocked=True, uncommitted=uncommitted, committed=committed) == winner


BRANCH: dict[str, Any] = {"revision": "main"}


def seen(make: Make, seconds: float) -> dict[str, Any]:
    return {"status": {"firstSeen": {"commit": "c" * 40, "at": make.at(seconds).isoformat().replace("+00:00", "Z")}}}


@pytest.mark.parametrize("clocked", [True, False], ids=["a validator's round", "a person's round"])
@pytest.mark.parametrize(
    ("copy", "winner"),
    [
        pytest.param({**BRANCH, "seen": LATER}, "original", id="a branch that was moved to a copy"),
        pytest.param({"generation": 2, "seen": LATER}, "original", id="an object that was edited"),
        pytest.param({**BRANCH, "seen": 1}, "copy", id="a branch that has not moved"),
        pytest.param({"seen": LATER}, "copy", id="a commit that the object has named from the start"),
        pytest.param(BRANCH, "copy", id="of an earlier version of the operator"),
    ],
)
@pytest.mark.parametrize("block", [5000, None], ids=["a block", "no block"])
def test_an_old_object_is_no_claim_to_what_its_branch_stands_for_later(
    make: Make, clocked: bool, block: int | None, copy: dict[str, Any], winner: str
) -> None:
    moved = {"created": 0} | {k: v for k, v in copy.items() if k != "seen"}
    if "seen" in copy:
        moved |= seen(make, copy["seen"])
    original = {"created": CREATED, "commit_block": block}
    assert first(make, clocked=clocked, original=original, copy=moved) == winner


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"hotkey": "alice"}, id="to the hotkey of the card"),
        pytest.param({"facts": {"commit": "d" * 40}}, id="to another commit"),
    ],
)
def test_an_object_that_is_edited_in_a_round_is_no_owner(make: Make, changed: dict[str, Any]) -> None:
    """What was frozen is paid: another miner's commit, for the hotkey that named it."""
    owner = make.model("owner", **with_card(make, "alice", "alice", commit_block=8))
    copy = make.model("copy", **(with_card(make, "mallory", "alice", commit_block=5) | changed))
    commit = owner.status.resolved.commit
    entries = [
        ModelResult(
            model=model.meta.name,
            model_uid=model.meta.uid,
            commit=commit,
            hotkey=make.hotkey(hotkey),
            commit_block=block,
        )
        for model, hotkey, block in ((owner, "alice", 8), (copy, "mallory", 5))
    ]
    keys = seniority(entries, {"owner": owner, "copy": copy}, None)
    assert keys["owner"] < keys["copy"]


def test_an_object_that_is_edited_in_a_round_has_the_block_that_was_frozen(make: Make) -> None:
    models = {"original": make.model("original", commit_block=7), "copy": make.model("copy", commit_block=1)}
    frozen = {"original": 7, "copy": 8}
    entries = [ModelResult(model=n, model_uid=m.meta.uid, commit_block=frozen[n]) for n, m in models.items()]
    keys = seniority(entries, models, None)
    assert keys["original"] < keys["copy"]


@pytest.mark.parametrize(
    ("gone", "clocked", "stays"),
    [
        pytest.param({"commit_block": 6}, True, True, id="an earlier block"),
        pytest.param({"commit_block": 7}, True, False, id="the same block"),
        pytest.param({"commit_block": 8}, True, False, id="a later block: a copy that was evaluated first"),
        pytest.param({}, True, False, id="no block: before the round began"),
        pytest.param({}, False, True, id="no block in a person's round"),
    ],
)
def test_a_model_that_was_deleted_after_its_evaluation_counts_by_what_was_frozen(
    make: Make, gone: dict[str, Any], clocked: bool, stays: bool
) -> None:
    clock = ChainClock(5000, make.at(CREATED), 12.0) if clocked else None
    present = {"a": make.model("a", commit_block=7), "late": make.model("late", commit_block=5001)}
    keys = seniority(
        [ModelResult(model=name) for name in present] + [ModelResult(model="gone", **gone)], present, clock
    )
    assert (keys["gone"] < keys["a"]) is stays
    assert keys["gone"] < keys["late"]


@pytest.mark.parametrize("hotkey", ["mallory", "alice"])
def test_the_owner_of_a_commit_is_before_one_that_is_gone(make: Make, hotkey: str) -> None:
    """Whoever named the commit first could otherwise keep the owner out by deleting what was evaluated."""
    owner = make.model("owner", **with_card(make, "alice", "alice", commit_block=8))
    commit = owner.status.resolved.commit
    gone = ModelResult(model="gone", commit=commit, commit_block=3, hotkey=make.hotkey(hotkey))
    keys = seniority([ModelResult(model="owner"), gone], {"owner": owner}, None)
    assert (keys["owner"] < keys["gone"]) is (hotkey == "mallory")


CARD = {"fetched": True, "raw_spec": {"source": {"huggingFace": {"repo": "org/model", "revision": "c" * 40}}}}


def with_card(make: Make, hotkey: str, named: str | None, **more: Any) -> dict[str, Any]:
    """A model of one repository and commit, of a hotkey, whose card names that or another one."""
    facts = {} if named is None else {"cardHotkey": make.hotkey(named)}
    return {**CARD, "hotkey": hotkey, "facts": facts, **more}


@pytest.mark.parametrize("clocked", [True, False], ids=["a validator's round", "a person's round"])
@pytest.mark.parametrize("block", [5, 8, None], ids=["an earlier block", "the same block", "no block"])
def test_of_one_commit_the_hotkey_that_its_card_names_is_the_first(
    make: Make, clocked: bool, block: int | None
) -> None:
    """So an axon that names another miner's commit gains nothing, whichever hotkey it has and however early it is."""
    other = with_card(make, "mallory", "alice", commit_block=block, created=0)
    owner = with_card(make, "alice", "alice", commit_block=8, created=9)
    assert first(make, clocked=clocked, acopy=other, owner=owner) == "owner"
    assert first(make, clocked=clocked, owner=owner, zcopy=other) == "owner"


@pytest.mark.parametrize("repo", ["Org/Model", "org/former-name", "mallory/mirror"], ids=["case", "old name", "mirror"])
def test_a_commit_is_the_same_one_by_any_name_of_its_repository(make: Make, repo: str) -> None:
    """A hub takes names in any case and former ones, and who clones a repository has its commits, cards and all."""
    spec = {"source": {"huggingFace": {"repo": repo, "revision": "c" * 40}}}
    other = with_card(make, "mallory", "alice", commit_block=5) | {"raw_spec": spec}
    owner = with_card(make, "alice", "alice", commit_block=8)
    assert first(make, clocked=True, acopy=other, owner=owner) == "owner"


def test_facts_of_an_earlier_version_do_not_hide_whose_commit_it_is(make: Make) -> None:
    """They have no card's hotkey."""
    other = with_card(make, "mallory", None, commit_block=5)
    owner = with_card(make, "alice", "alice", commit_block=8)
    assert first(make, clocked=True, acopy=other, owner=owner) == "owner"


@pytest.mark.parametrize(
    "card",
    [
        pytest.param({"named": None}, id="no hotkey"),
        pytest.param({"named": "mallory"}, id="its own, in another repository"),
        pytest.param({"named": "carol"}, id="that of neither"),
    ],
)
def test_a_card_gives_no_claim_to_what_is_in_another_repository(make: Make, card: dict[str, Any]) -> None:
    copy = with_card(make, "mallory", **card, commit_block=9)
    if card["named"] == "mallory":
        copy["raw_spec"] = {"source": {"huggingFace": {"repo": "mallory/model", "revision": "c" * 40}}}
    owner = with_card(make, "alice", "alice" if card["named"] == "mallory" else card["named"], commit_block=8)
    assert first(make, clocked=True, copy=copy, owner=owner) == "owner"
