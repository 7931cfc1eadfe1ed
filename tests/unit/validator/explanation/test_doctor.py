"""What keeps a Validator from setting weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.chain.facts import MechanismFacts, Subnet
from bitagent_validator.explanation.doctor import Look, findings

Make = Callable[..., Any]


@pytest.fixture
def spec(competition: Make) -> Callable[..., ValidatorSpec]:
    def make(**changes: Any) -> ValidatorSpec:
        wire = {
            "netuid": 20,
            "chain": {"endpoints": ["ws://one", "ws://two"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
        }
        return ValidatorSpec.model_validate(wire | changes)

    return make


@pytest.fixture
def look(subnet: Callable[..., Subnet]) -> Callable[..., Look]:
    def make(*, facts: Any = None, **changes: Any) -> Look:
        plain = {"endpoint": "ws://one", "genesis": "0x1", "finalized": 1000, "age": 3.0}
        owned = {"owner_hotkey": "a", "me": {"last_update": 900}} | (facts or {})
        return Look(**(plain | {"subnet": subnet(**owned)} | changes))

    return make


def test_all_is_well(spec: Make, look: Make) -> None:
    found = findings(spec(), [look(), look(endpoint="ws://two")], hotkey="me")
    assert [each.text for each in found if not each.good] == []
    assert len(found) == 8


@pytest.mark.parametrize(
    ("second", "text"),
    [
        pytest.param({"problem": "no answer"}, "no answer", id="away"),
        pytest.param({"genesis": "0x2"}, "another chain", id="another chain"),
        pytest.param({"finalized": 900}, "the node is behind", id="behind another"),
        pytest.param({"age": 400.0}, "400 s old", id="old"),
        pytest.param({"age": -60.0}, "in the future", id="clock behind"),
    ],
)
def test_an_endpoint_that_is_not_good(spec: Make, look: Make, second: Any, text: str) -> None:
    (bad,) = [f for f in findings(spec(), [look(), look(endpoint="ws://two", **second)], hotkey="me") if not f.good]
    assert text in bad.text


@pytest.mark.parametrize(
    ("second", "words"),
    [
        pytest.param({"finalized": 10**6}, ["contradicts ws://two", "contradicts ws://one"], id="an invented height"),
        pytest.param({"finalized": 900, "stamp": 800.0}, ["the node is behind"], id="finality that stands still"),
        pytest.param({"finalized": 10**6, "stamp": None}, ["the node is behind"], id="a time that is not known"),
    ],
)
def test_endpoints_that_cannot_be_of_one_chain(spec: Make, look: Make, second: Any, words: list[str]) -> None:
    """Of two, which one is wrong is not known: neither is called behind."""
    two = look(**({"endpoint": "ws://two", "stamp": 2000.0} | second))
    bad = [f.text for f in findings(spec(), [look(stamp=2000.0), two], hotkey="me") if not f.good]
    assert len(bad) == len(words)
    assert all(word in text for word, text in zip(words, bad, strict=True))


@pytest.mark.parametrize(
    ("facts", "changes", "text"),
    [
        pytest.param({"neurons": {}}, {}, "not registered", id="not registered"),
        pytest.param({"me": {"permit": False, "last_update": 900}}, {}, "no validator permit", id="no permit"),
        pytest.param({"version_key": 7}, {}, "requires 7", id="version key"),
        pytest.param({"owner_hotkey": "gone"}, {}, "nothing is burnt", id="burning"),
        pytest.param({"me": {"last_update": 20}, "block": 3000}, {}, "2980 blocks ago", id="late"),
        pytest.param({}, {"suspend": True}, "suspend True", id="suspended"),
    ],
)
def test_an_account_that_is_not_good(spec: Make, look: Make, facts: Any, changes: Any, text: str) -> None:
    bad = [f for f in findings(spec(**changes), [look(facts=facts)] * 2, hotkey="me") if not f.good]
    assert any(text in each.text for each in bad)


@pytest.mark.parametrize(
    ("facts", "good", "text"),
    [
        pytest.param({0: 100, 1: 900}, True, "of mechanism 1 were last set at block 900", id="set"),
        pytest.param({0: 900, 1: 0}, False, "of mechanism 1 were last set at block 0", id="the first one alone is set"),
        pytest.param({0: 900, 1: 900}, False, "has 1 mechanism", id="the subnet lacks it"),
    ],
)
def test_the_mechanism_that_weights_are_set_for(
    spec: Make, look: Make, competition: Make, facts: dict[int, int], good: bool, text: str
) -> None:
    only = spec(competitions=[competition(mechanism=1).to_wire()])
    mechanisms = {number: MechanismFacts(last_update=block) for number, block in facts.items()}
    count = 1 if "has 1" in text else 2
    on = look(facts={"mechanisms": mechanisms, "mechanism_count": count, "activity_cutoff": 1000})
    (found,) = [each for each in findings(only, [on] * 2, hotkey="me") if "mechanism" in each.text]
    assert (found.good, text in found.text) == (good, True)


def test_what_cannot_be_looked_at(spec: Make, look: Make) -> None:
    assert any("no subnet 20" in f.text for f in findings(spec(), [look(subnet=None)] * 2, hotkey="me"))
    assert any("hotkey is not known" in f.text for f in findings(spec(), [look()] * 2, hotkey=""))
    assert any("only one endpoint" in f.text for f in findings(spec(), [look()], hotkey="me"))
