"""Which MinerModels the commitments of a subnet call for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.discovery import CommitmentFault, Discovery
from bitagent_crds.minermodel import MinerModelSpec
from bitagent_kube.objects import Obj
from bitagent_validator.chain.published import Published
from bitagent_validator.discovery.commitments import parse_name
from bitagent_validator.discovery.models import existing_of, manifest
from bitagent_validator.discovery.plan import DiscoveryPlan, plan_discovery

A = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
B = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
C = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
COMMIT, OTHER = "c" * 40, "d" * 40


def says(text: str, block: int = 100) -> Published:
    return Published(block, text.encode())


TINY, SMALL = says(f"acme/tiny@{COMMIT}"), says(f"acme/small@{OTHER}", 200)


def stored(plan: DiscoveryPlan, settings: Discovery) -> list[Obj]:
    """The objects after the plan's writes, as the API server has them."""
    found = []
    for each in plan.models:
        obj = manifest(each, settings, validator="val")
        obj["metadata"] |= {"name": each.name, "uid": f"uid-{each.name}"}
        found.append(obj)
    return found


def planned(
    published: Mapping[str, Published | None],
    *,
    objects: list[Obj] = [],  # noqa: B006 - read only
    uids: Mapping[str, int] | None = None,
    needed: set[str] | None = None,
    answers: Mapping[str, str] | None = None,
    block: int = 0,
    axons: Obj | None = None,
    alone: bool = False,
    **settings: Any,
) -> tuple[DiscoveryPlan, list[Obj]]:
    chosen = Discovery.model_validate({"commitments": settings} if axons is None else axons)
    plan = plan_discovery(
        chosen,
        validator="val",
        competitions=["fc", "m1"],
        uids={A: 1, B: 2, C: 3} if uids is None else uids,
        published=published,
        existing=[existing_of(obj) for obj in objects],
        needed=needed or set(),
        answers={hotkey: parse_name(text) for hotkey, text in (answers or {}).items()},
        block=block,
        unconfirmed={A, B, C} if alone else (),
    )
    return plan, stored(plan, chosen)


def test_a_commitment_becomes_a_model() -> None:
    plan, (obj,) = planned({A: says(f"acme:tiny:{COMMIT}:hash:m1", 70)}, labels={"team": "x"})
    assert plan.write == plan.models
    assert obj["metadata"]["labels"] == {
        "team": "x",
        "app.kubernetes.io/managed-by": "bitagent-discovery",
        "bitagent.io/validator": "val",
        "bitagent.io/competition": "m1",
        "bitagent.io/hotkey": A,
        "bitagent.io/uid": "1",
    }
    assert obj["metadata"]["annotations"]["bitagent.io/committed-block"] == "70"
    assert obj["spec"] == {
        "source": {"huggingFace": {"repo": "acme/tiny", "revision": COMMIT}},
        "miner": {"hotkey": A, "commitBlock": 70},
    }
    MinerModelSpec.model_validate(obj["spec"])
    assert len(obj["metadata"]["name"]) <= 52


def test_the_hash_is_a_claim_of_the_miner() -> None:
    value = "k2oYXKqiZrucvpgengXLeM1zKwsygOuURBK7b4+PB68="
    says_it = {A: says(f"acme:tiny:{COMMIT}:{value}:m1", 70)}
    _, (obj,) = planned(says_it, verifyHash=True)
    assert obj["spec"]["miner"] == {"hotkey": A, "commitBlock": 70, "commitmentHash": value}
    MinerModelSpec.model_validate(obj["spec"])
    assert planned(says_it, objects=[obj], verifyHash=True)[0].write == ()
    corrected = {A: says(f"acme:tiny:{COMMIT}:{value[::-1][1:]}=:m1", 90)}
    plan, (again,) = planned(corrected, objects=[obj], verifyHash=True)
    assert [each.name for each in plan.write] == [obj["metadata"]["name"]], "the same submission"
    assert again["spec"]["miner"]["commitBlock"] == 70


def test_a_branch_has_a_block_but_claims_none() -> None:
    _, (obj,) = planned({A: says("acme/tiny@main", 70)}, allowBranches=True)
    assert obj["spec"]["miner"] == {"hotkey": A}
    assert obj["metadata"]["annotations"]["bitagent.io/committed-block"] == "70"
    assert "bitagent.io/competition" not in obj["metadata"]["labels"]


def test_nothing_is_written_when_nothing_has_changed() -> None:
    published = {A: TINY, B: SMALL}
    _, objects = planned(published, labels={"team": "x"})
    plan, _ = planned(published, objects=objects, labels={"team": "x"})
    assert (plan.write, plan.delete, len(plan.models)) == ((), (), 2)


def test_labels_of_others_are_left_alone() -> None:
    _, objects = planned({A: TINY})
    objects[0]["metadata"]["labels"]["mine"] = "1"
    assert planned({A: TINY}, objects=objects)[0].write == ()


@pytest.mark.parametrize(
    ("change", "settings", "uids"),
    [
        pytest.param({}, {"labels": {"team": "y"}}, None, id="another value of a label"),
        pytest.param({}, {}, None, id="a label less"),
        pytest.param({}, {"labels": {"team": "x"}}, {A: 9}, id="another slot"),
        pytest.param({"revision": OTHER}, {"labels": {"team": "x"}}, None, id="the revision by hand"),
        pytest.param({"commitBlock": 1}, {"labels": {"team": "x"}}, None, id="the block by hand"),
        pytest.param({"annotations": {}}, {"labels": {"team": "x"}}, None, id="no annotations"),
    ],
)
def test_a_difference_is_written(change: dict[str, Any], settings: dict[str, Any], uids: dict[str, int] | None) -> None:
    _, (obj,) = planned({A: TINY}, labels={"team": "x"})
    source, miner = obj["spec"]["source"]["huggingFace"], obj["spec"]["miner"]
    source |= {key: value for key, value in change.items() if key in source}
    miner |= {key: value for key, value in change.items() if key in miner}
    obj["metadata"] |= {key: value for key, value in change.items() if key == "annotations"}
    plan, _ = planned({A: TINY}, objects=[obj], uids=uids, **settings)
    assert [each.name for each in plan.write] == [obj["metadata"]["name"]]


def test_the_block_of_the_first_sight_stays() -> None:
    _, objects = planned({A: says(f"acme/tiny@{COMMIT}", 100)})
    plan, _ = planned({A: says(f"acme/tiny@{COMMIT}", 900)}, objects=objects)
    assert (plan.write, plan.delete) == ((), ())
    assert plan.models[0].block == 100


@pytest.mark.parametrize(
    ("readings", "block", "unconfirmed"),
    [
        pytest.param([(100, False), (900, False)], 100, False, id="several agree: committed again"),
        pytest.param([(100, True)], 100, True, id="one alone"),
        pytest.param([(100, True), (900, True)], 100, True, id="one alone: committed again"),
        pytest.param([(100, True), (100, False)], 100, False, id="confirmed"),
        pytest.param([(1, True), (700, False)], 700, False, id="an endpoint alone invented an early block"),
        pytest.param([(10**6, True), (700, False)], 700, False, id="or a late one"),
        pytest.param([(100, True), (100, False), (900, True)], 100, False, id="confirmed, and alone again"),
        pytest.param([(100, False), (900, True)], 100, False, id="known before one was alone"),
        pytest.param([(700, False), (1, True)], 700, False, id="what is known is not made earlier by one alone"),
    ],
)
def test_a_block_that_one_endpoint_alone_has_said_is_read_again(
    readings: list[tuple[int, bool]], block: int, unconfirmed: bool
) -> None:
    objects: list[Obj] = []
    for said, alone in readings:
        published = {A: says(f"acme/tiny@{COMMIT}", said)}
        _, objects = planned(published, objects=objects, alone=alone)
        again, _ = planned(published, objects=objects, alone=alone)
        assert again.write == ()
    (obj,) = objects
    assert obj["spec"]["miner"]["commitBlock"] == block
    assert existing_of(obj).unconfirmed is unconfirmed


def test_other_content_is_another_submission() -> None:
    _, objects = planned({A: TINY})
    (old,) = objects
    plan, (new,) = planned({A: SMALL}, objects=objects)
    assert [each.name for each in plan.delete] == [old["metadata"]["name"]]
    assert new["metadata"]["name"] != old["metadata"]["name"]
    assert new["spec"]["miner"]["commitBlock"] == 200


@pytest.mark.parametrize(
    "now",
    [
        pytest.param({A: SMALL}, id="another model"),
        pytest.param({A: says("gm")}, id="something else"),
        pytest.param({A: Published(300, sealed=True)}, id="something sealed"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_running_round_keeps_what_it_evaluates(now: dict[str, Published]) -> None:
    _, objects = planned({A: TINY})
    name = objects[0]["metadata"]["name"]
    plan, _ = planned(now, objects=objects, needed={name})
    assert ([each.name for each in plan.superseded], plan.delete) == ([name], ())
    plan, _ = planned(now, objects=objects)
    assert [each.name for each in plan.delete] == [name]


def test_a_hotkey_without_a_slot_keeps_nothing() -> None:
    """The commitment stays on the chain, and the slot's new holder has another hotkey."""
    _, objects = planned({A: TINY})
    name = objects[0]["metadata"]["name"]
    plan, _ = planned({A: TINY}, objects=objects, uids={B: 1}, needed={name})
    assert [each.name for each in plan.delete] == [name]
    assert (plan.models, plan.ignored) == ((), {})


@pytest.mark.parametrize(
    ("commitment", "reason"),
    [
        pytest.param(None, CommitmentFault.MALFORMED, id="an unknown form"),
        pytest.param(says("gm"), CommitmentFault.MALFORMED, id="words"),
        pytest.param(Published(1, sealed=True), CommitmentFault.SEALED, id="sealed"),
        pytest.param(Published(1, b"a/b", big=True), CommitmentFault.OVERSIZED, id="large"),
        pytest.param(says("acme/tiny"), CommitmentFault.NOT_A_COMMIT, id="no commit"),
        pytest.param(says(f"a:b:{COMMIT}:h:m9"), CommitmentFault.UNKNOWN_COMPETITION, id="no such competition"),
    ],
)
def test_one_that_is_ignored_stops_no_other(commitment: Published | None, reason: CommitmentFault) -> None:
    plan, _ = planned({A: commitment, B: SMALL})
    assert {hotkey: fault.reason for hotkey, fault in plan.ignored.items()} == {A: reason}
    assert [each.hotkey for each in plan.models] == [B]


def test_beyond_the_limit_the_earliest_are_taken() -> None:
    published = {A: says(f"a/a@{COMMIT}", 30), B: says(f"b/b@{COMMIT}", 10), C: says(f"c/c@{COMMIT}", 20)}
    plan, objects = planned(published, maximumModels=2)
    assert [each.hotkey for each in plan.models] == [B, C]
    assert {hotkey: fault.reason for hotkey, fault in plan.ignored.items()} == {A: CommitmentFault.OVER_LIMIT}
    plan, _ = planned(published, objects=objects, maximumModels=1)
    assert ([each.hotkey for each in plan.delete], plan.write) == ([C], ())


TEXTS = st.sampled_from([f"a/a@{COMMIT}", f"b/b@{OTHER}", f"c:c:{COMMIT}:h:fc", "d/d", "gm", ""])
CHAINS = st.dictionaries(st.sampled_from([A, B, C]), st.builds(says, TEXTS, st.integers(0, 99)))


@given(st.lists(CHAINS, min_size=1, max_size=4), st.integers(1, 3))
def test_one_model_for_each_hotkey_and_nothing_to_do_afterwards(chains: list[Any], limit: int) -> None:
    objects: list[Obj] = []
    for published in chains:
        plan, after = planned(published, objects=objects, maximumModels=limit)
        hotkeys = [each.hotkey for each in plan.models]
        assert len(hotkeys) == len(set(hotkeys)) <= limit
        assert not set(hotkeys) & plan.ignored.keys()
        objects = after
        again, _ = planned(published, objects=objects, maximumModels=limit)
        assert (again.write, again.delete, again.models) == ((), (), plan.models)


AXONS: Obj = {"axons": {"labels": {"team": "y"}}}
BOTH: Obj = {"axons": {}, "commitments": {}}


def resolved(obj: Obj, commit: str) -> Obj:
    """The object after the operator has found what its revision stands for."""
    return {**obj, "status": {"resolved": {"commit": commit}}}


def test_an_answer_becomes_a_model_that_is_pinned_when_its_commit_is_known() -> None:
    plan, (obj,) = planned({}, answers={A: "acme/tiny"}, block=500, axons=AXONS)
    assert plan.write == plan.models
    assert obj["metadata"]["labels"] == {
        "team": "y",
        "app.kubernetes.io/managed-by": "bitagent-discovery",
        "bitagent.io/validator": "val",
        "bitagent.io/submitted-by": "axon",
        "bitagent.io/hotkey": A,
        "bitagent.io/uid": "1",
    }
    assert obj["spec"]["source"]["huggingFace"] == {"repo": "acme/tiny", "revision": "main"}
    assert "commitBlock" not in obj["spec"]["miner"]

    again, (pinned,) = planned({}, objects=[resolved(obj, COMMIT)], answers={A: "acme/tiny"}, block=800, axons=AXONS)
    assert [each.name for each in again.write] == [obj["metadata"]["name"]]
    assert pinned["spec"] == {
        "source": {"huggingFace": {"repo": "acme/tiny", "revision": COMMIT}},
        "miner": {"hotkey": A, "commitBlock": 800},
    }, "the block at which the commit is known"
    MinerModelSpec.model_validate(pinned["spec"])

    moved = resolved(pinned, OTHER)
    last, _ = planned({}, objects=[moved], answers={A: "acme/tiny"}, block=900, axons=AXONS)
    assert last.models[0].block == 800
    assert (last.write, last.delete) == ((), ()), "what is pushed to the branch later changes nothing"


def test_a_guessed_name_is_no_earlier_claim_to_the_commit_that_another_names() -> None:
    """A names B's next model before it exists; B names its commit, and publishes it when that was seen."""
    answers = {A: "b/next", B: f"b/next@{COMMIT}"}
    _, (guess,) = planned({}, answers={A: "b/next"}, block=500, axons=AXONS)
    _, both = planned({}, objects=[guess], answers=answers, block=800, axons=AXONS)
    found = [resolved(obj, COMMIT) for obj in both]
    _, objects = planned({}, objects=found, answers=answers, block=900, axons=AXONS)
    blocks = {obj["spec"]["miner"]["hotkey"]: obj["spec"]["miner"]["commitBlock"] for obj in objects}
    assert blocks == {A: 900, B: 800}


def test_an_answer_with_a_commit_is_pinned_at_once() -> None:
    _, (obj,) = planned({}, answers={A: f"acme/tiny@{COMMIT}"}, block=500, axons=AXONS)
    assert obj["spec"]["source"]["huggingFace"]["revision"] == COMMIT
    assert obj["spec"]["miner"]["commitBlock"] == 500


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        pytest.param(None, True, id="not asked yet"),
        pytest.param("", True, id="nothing"),
        pytest.param("no repository", True, id="nonsense"),
        pytest.param("acme/tiny", True, id="the same"),
        pytest.param("acme/other", False, id="another model"),
        pytest.param("acme/tiny@v2", False, id="another revision"),
    ],
)
def test_a_model_stays_until_its_axon_names_another(answer: str | None, stays: bool) -> None:
    _, objects = planned({}, answers={A: "acme/tiny"}, axons=AXONS)
    answers = {} if answer is None else {A: answer}
    plan, _ = planned({}, objects=objects, answers=answers, axons=AXONS)
    assert [each.name for each in plan.delete] == ([] if stays else [objects[0]["metadata"]["name"]])
    assert len(plan.models) + plan.stay == 1
    assert plan.ignored == {}


def test_a_hotkey_without_a_slot_keeps_no_model() -> None:
    _, objects = planned({}, answers={A: "acme/tiny"}, axons=AXONS)
    plan, _ = planned({}, objects=objects, uids={B: 2}, answers={A: "acme/tiny"}, axons=AXONS)
    assert [each.name for each in plan.delete] == [objects[0]["metadata"]["name"]]


def test_a_commitment_goes_before_an_answer() -> None:
    _, objects = planned({}, answers={A: "acme/tiny", B: "b/tiny"}, axons=BOTH)
    plan, _ = planned({A: SMALL}, objects=objects, answers={A: "acme/tiny", B: "b/tiny"}, axons=BOTH)
    assert [(each.hotkey, each.axon) for each in plan.models] == [(A, False), (B, True)]
    assert [each.hotkey for each in plan.delete] == [A]
    faulty, _ = planned({A: says("gm")}, answers={A: "acme/tiny"}, axons=BOTH)
    assert [(each.hotkey, each.axon) for each in faulty.models] == [(A, True)]


@pytest.mark.parametrize("off", [{"commitments": {}}, {"axons": {}}], ids=["axons", "commitments"])
def test_models_of_a_source_that_is_off_are_left_alone(off: Obj) -> None:
    _, objects = planned({A: SMALL}, answers={B: "b/tiny"}, axons=BOTH)
    plan, _ = planned({}, objects=objects, answers={}, axons=off)
    assert [each.hotkey for each in plan.delete] == ([A] if "commitments" in off else [])


def test_answers_beyond_the_limit_are_ignored() -> None:
    """Those seen first stay, also while they are not asked."""
    limited: Obj = {"axons": {"maximumModels": 1}}
    _, objects = planned({}, answers={B: "b/tiny"}, block=5, axons=limited)
    plan, _ = planned({}, objects=objects, answers={A: "a/tiny"}, block=6, axons=limited)
    assert (plan.models, plan.stay) == ((), 1)
    assert {hotkey: fault.reason for hotkey, fault in plan.ignored.items()} == {A: CommitmentFault.OVER_LIMIT}


@pytest.mark.parametrize(
    ("now", "block"),
    [
        pytest.param(800, 800, id="a height that is not believed any more"),
        pytest.param(999_980, 10**6, id="a node that is behind"),
    ],
)
def test_a_model_that_was_seen_at_a_block_to_come_was_seen_now(now: int, block: int) -> None:
    _, objects = planned({}, answers={A: f"a/tiny@{COMMIT}"}, block=10**6, axons=AXONS)
    _, (obj,) = planned({}, objects=objects, answers={A: f"a/tiny@{COMMIT}"}, block=now, axons=AXONS)
    assert obj["spec"]["miner"]["commitBlock"] == block
