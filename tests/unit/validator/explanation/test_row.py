"""`weights row`: where each weight comes from, whoever earns it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.model_result import ResultState
from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.explanation.explain import Computed
from bitagent_validator.explanation.row import Origin, as_json, as_table, lines_of
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound
from bitagent_validator.weights.computed import compute_weights

Make = Callable[..., Any]


@pytest.fixture
def computed(competition: Make, subnet: Make, neuron: Make) -> Make:
    """Compute the row of competitions x and y (60 and 40 %): a scores 0.9 in x, and c owns the subnet."""

    def make(*, x: Any = None, y: Any = None, weights: Any = None, facts: Any = None, scored: bool = True) -> Computed:
        own = (competition(id="x", rewardShare=60, **(x or {})), competition(id="y", rewardShare=40, **(y or {})))
        spec = ValidatorSpec.model_validate(
            {
                "netuid": 20,
                "chain": {"endpoints": ["ws://one"]},
                "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
                "competitions": [each.to_wire() for each in own],
                "weights": weights or {},
            }
        )
        neurons = {**subnet().neurons, "c": neuron("c", uid=3)}
        on = subnet(neurons=neurons, owner_hotkey="c", **(facts or {}))
        result = RoundResult(state=ResultState.SUCCEEDED, score=0.9)
        scores = {"a": HotkeyScore(registered_at=10, results=(result,))} if scored else {}
        known = {"x": Standings(ScoredRound(round="val-x-1", epoch=1, block=9, scores=scores))}
        row = compute_weights(own, standings=known, subnet=on, weights=spec.weights, held={"y": {"b": 65535}})
        return Computed(spec, 0, own, on, row)

    return make


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {"a": [(Origin.RESULTS, "x", 1.0)]}, id="the other competition's part goes to it"),
        pytest.param(
            {"y": {"withoutResult": "Hold"}},
            {"a": [(Origin.RESULTS, "x", 0.6)], "b": [(Origin.HELD, "y", 0.4)]},
            id="held",
        ),
        pytest.param(
            {"y": {"policy": "Unheard"}},
            {"a": [(Origin.RESULTS, "x", 0.6)], "b": [(Origin.HELD, "y", 0.4)]},
            id="held as the policy failed",
        ),
        pytest.param(
            {"y": {"withoutResult": "Burn"}, "weights": {"burn": {"percentage": 50}}},
            {"a": [(Origin.RESULTS, "x", 0.3)], "c": [(Origin.BURNT, "y", 0.2), (Origin.BURNT, "", 0.5)]},
            id="burnt",
        ),
        pytest.param({"scored": False}, {"c": [(Origin.BURNT, "", 1.0)]}, id="no score: all is burnt"),
        pytest.param(
            {"scored": False, "weights": {"fill": "Equal"}},
            {hotkey: [(Origin.FILLS_ROW, "", 1 / 3)] for hotkey in "abc"},
            id="no score: all are equal",
        ),
        pytest.param(
            {"facts": {"min_weights": 3}},
            {
                "a": [(Origin.RESULTS, "x", 1.0)],
                "b": [(Origin.FILLS_ROW, "", 1 / 65537)],
                "c": [(Origin.BURNT, "", 1 / 65537)],
            },
            id="a short row is filled",
        ),
    ],
)
def test_where_each_weight_comes_from(computed: Make, changes: Any, expected: Any) -> None:
    lines = lines_of(computed(**changes))
    found = {line.hotkey: [(part.origin, part.competition, part.share) for part in line.parts] for line in lines}
    assert found == {
        hotkey: [(origin, name, pytest.approx(share)) for origin, name, share in parts]
        for hotkey, parts in expected.items()
    }
    assert sum(line.share for line in lines) == pytest.approx(1)


def test_what_the_chain_holds_is_beside_it(computed: Make) -> None:
    found = computed(facts={"weights": {"b": 65535, "a": 7}})
    assert as_table([found]).splitlines() == [
        "mechanism  weight  share     chain  uid  hotkey  from",
        "0          65535   1.000000  7      1    a       Results of x 100.0000 %",
        "0          0       0.000000  65535  2    b       nothing",
    ]
    (first, _) = (json.loads(line) for line in as_json([found]).splitlines())
    assert (first["on_chain"], first["parts"][0]["origin"]) == (7, "Results")


def test_what_keeps_a_row_from_being_made_is_named(computed: Make) -> None:
    text = as_table([computed(scored=False, weights={"fill": "None"})])
    assert text == "mechanism 0: no row can be made now: the last one stays, and is set again before it expires\n"
    assert "no policy Unheard" in as_table([computed(y={"policy": "Unheard"})])
