"""`weights plan`: one line for each hotkey with a model, from what the pod reads too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Standing
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import CONFIG_MAPS, ROUNDS, VALIDATORS, ApiResource
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.explanation import explain as module
from bitagent_validator.explanation.explain import as_history, as_json, as_table, explain, explanations
from bitagent_validator.policy.interface import Pay, PolicyError
from bitagent_validator.state.documents import State
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound, Submission
from bitagent_validator.state.store import KEY

Make = Callable[..., Any]


def test_lines_are_ranked_within_a_competition(competition: Make, neuron: Make) -> None:
    both = [competition(id="x", rewardShare=60), competition(id="y", rewardShare=40)]
    pay = {
        "x": {
            "a": Pay(Standing.PAID, 0.75, score=0.8),
            "b": Pay(Standing.PAID, 0.25, score=0.7),
            "c": Pay(Standing.NOT_CHOSEN, score=0.8),
            "gone": Pay(Standing.NOT_REGISTERED),
        },
        "y": {"a": Pay(Standing.REJECTED)},
    }
    lines = explanations(both, pay, {h: neuron(h, uid=uid) for uid, h in enumerate("abc")}, paying={"x"})
    assert [(e.competition, e.hotkey, e.uid, e.rank, e.weight) for e in lines] == [
        ("x", "a", 0, 1, 0.75),
        ("x", "b", 1, 3, 0.25),
        ("x", "c", 2, 1, 0.0),
        ("x", "gone", None, None, 0.0),
        ("y", "a", 0, None, 0.0),
    ], "y pays no one, so its part goes to x"
    assert as_table(lines).splitlines()[:2] == [
        "competition  rank  score     share     weight    why            uid  hotkey",
        "x            1     0.800000  0.750000  0.750000  Paid           0    a",
    ]
    assert [json.loads(line)["standing"] for line in as_json(lines).splitlines()][-1] == "Rejected"


def test_nothing_yet_is_a_sentence_and_not_a_table_without_rows() -> None:
    assert as_table([]) == "no hotkey has a result or a model in a running round yet\n"
    assert as_history([]).startswith("no weights have been set yet")
    assert not as_json([])


def test_what_comes_from_rounds_and_from_answers_is_shown(competition: Make, neuron: Make) -> None:
    pay = {"x": {"a": Pay(Standing.PAID, 1.0, score=0.6, rounds=0.8, online=0.4)}}
    lines = explanations([competition(id="x")], pay, {"a": neuron("a")}, paying={"x"})
    assert as_table(lines).splitlines() == [
        "competition  rank  score     rounds    online    share     weight    why   uid  hotkey",
        "x            1     0.600000  0.800000  0.400000  1.000000  1.000000  Paid  1    a",
    ]


@pytest.mark.parametrize(
    ("without", "owner", "percentage", "weight"),
    [
        pytest.param("Redistribute", True, 0, 1.0, id="the other's part is paid as well"),
        pytest.param("Burn", True, 0, 0.4, id="the other's part is burnt"),
        pytest.param("Burn", False, 0, 1.0, id="nothing can be burnt"),
        pytest.param("Redistribute", True, 50, 0.5, id="half is burnt"),
        pytest.param("Redistribute", False, 50, 1.0, id="half would be, but cannot"),
    ],
)
@pytest.mark.usefixtures("chain")
async def test_the_weight_is_what_is_set(
    server: Make,
    competition: Make,
    subnet: Make,
    monkeypatch: pytest.MonkeyPatch,
    *,
    without: str,
    owner: bool,
    percentage: int,
    weight: float,
) -> None:
    on = server(["ws://two"], rewardShare=40)
    on.rounds = []
    spec = on.objects[VALIDATORS]["spec"]
    spec["competitions"].append(competition(id="other", rewardShare=60, withoutResult=without).to_wire())
    spec["weights"] = {"burn": {"percentage": percentage}}
    facts = subnet(block=750, owner_hotkey="b" if owner else "")

    async def read(*_: Any, **__: Any) -> Subnet:
        return facts

    monkeypatch.setattr(module, "_subnet", read)
    (line,) = await explain(on, "val")
    assert (line.hotkey, line.share, line.weight) == ("a", 1.0, pytest.approx(weight))


class Server:
    """A Validator, its record, and one running round."""

    namespace = "ns"

    def __init__(self, validator: dict[str, Any] | None, state: State, rounds: list[dict[str, Any]]) -> None:
        self.objects = {VALIDATORS: validator}
        documents = {"val-scores": state.rows, "val-scores-fc": state.of_competition("fc")}
        self.config_maps = {
            name: {
                "metadata": {"name": name, "resourceVersion": "1"},
                "data": {KEY: document.model_dump_json()},
            }
            for name, document in documents.items()
        }
        self.rounds = rounds

    async def get(self, resource: ApiResource, name: str) -> dict[str, Any] | None:
        return self.config_maps.get(name) if resource == CONFIG_MAPS else self.objects[resource]

    async def list(self, resource: ApiResource, *, labels: str) -> list[dict[str, Any]]:
        assert (resource, labels) == (ROUNDS, "bitagent.io/validator=val")
        return self.rounds


@pytest.fixture
def server(competition: Make, eval_round: Make) -> Callable[..., Any]:
    def make(endpoints: list[str], **spec: Any) -> Any:
        wire = {
            "netuid": 20,
            "chain": {"endpoints": endpoints},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition(**spec).to_wire()],
        }
        metadata = {"name": "val", "namespace": "ns", "uid": "me"}
        running = eval_round([{"model": "m", "state": "Running", "reason": "Evaluating"}])
        running["metadata"]["ownerReferences"] = [{"uid": "me", "controller": True}]
        result = RoundResult(state=ResultState.SUCCEEDED, score=0.5)
        scores = {"a": HotkeyScore(registered_at=10, results=(result,))}
        state = State(
            scored={"fc": ScoredRound(round="val-fc-6", epoch=6, block=600, scores=scores)},
            owners={"fc/u": {"m": Submission(hotkey="b")}},
        )
        return Server({"metadata": metadata, "spec": wire, "status": {"hotkey": "me"}}, state, [running])

    return make


@pytest.fixture
def chain(subnet: Callable[..., Subnet], neuron: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain at block 750, whose first endpoint is away; b is newly registered."""
    neurons = {"a": neuron("a"), "b": neuron("b", registered_at=650)}

    class Connection:
        async def finalized(self) -> int:
            return 750

        async def subnet(self, netuid: int, *, hotkey: str, block: int, mechanisms: list[int]) -> Subnet:
            assert (netuid, hotkey, block, mechanisms) == (20, "me", 750, [0])
            return subnet(block=750, neurons=neurons)

    @asynccontextmanager
    async def connect(endpoint: str) -> AsyncIterator[Connection]:
        if endpoint == "ws://away":
            raise ChainUnavailable("ws://away does not answer")
        yield Connection()

    monkeypatch.setattr(module, "connect", connect)


@pytest.mark.usefixtures("chain")
async def test_what_each_hotkey_would_earn(server: Make) -> None:
    lines = await explain(server(["ws://away", "ws://two"]), "val")
    assert [(line.hotkey, line.standing, line.score, line.rank) for line in lines] == [
        ("a", Standing.PAID, 0.5, 1),
        ("b", Standing.NEWCOMER, None, None),
    ]
    assert lines[1].share == pytest.approx(0.02)


@pytest.mark.usefixtures("chain")
async def test_what_is_missing_is_reported(server: Make) -> None:
    with pytest.raises(ChainUnavailable, match="does not answer"):
        await explain(server(["ws://away"]), "val")
    with pytest.raises(PolicyError, match="Unheard"):
        await explain(server(["ws://two"], policy="Unheard"), "val")
    without = server(["ws://two"])
    without.objects[VALIDATORS] = None
    with pytest.raises(ApiError, match="does not exist"):
        await explain(without, "val")
