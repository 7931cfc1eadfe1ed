"""Rows that the subnet takes, sealed rows, other processes with the same hotkey, and nodes that answer oddly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.chain import keys
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, submit

pytestmark = pytest.mark.integration

SCORES = {"a": "0.800000", "b": "0.400000"}
NONE = {"a": "0.000000", "b": "0.000000"}
OWNER = keys.address("//Owner")
Start = Callable[..., Any]
Eventually = Callable[..., Any]


@pytest.mark.parametrize(
    ("chain", "weights", "scores", "paid"),
    [
        pytest.param({"owner": True}, {}, NONE, ["Owner"], id="V2: no model scored, so it is burnt"),
        pytest.param({}, {"fill": "Equal"}, NONE, ["a", "b", "c", "d"], id="V2: no model scored, all are equal"),
        pytest.param(
            {"owner": True, "min_allowed_weights": 4}, {}, SCORES, ["a", "b", "c", "Owner"], id="V1: a short row"
        ),
        pytest.param(
            {"owner": True, "min_allowed_weights": 64},
            {},
            SCORES,
            ["a", "b", "c", "d", "Owner", "Validator"],
            id="fewer hotkeys than the smallest row",
        ),
        pytest.param({"owner": True}, {"burn": {"percentage": 80}}, SCORES, ["a", "b", "Owner"], id="burning"),
    ],
)
def test_a_row_that_the_subnet_takes(
    start_world: Start, eventually: Eventually, chain: Any, weights: Any, scores: Any, paid: list[str]
) -> None:
    world = start_world(chain=chain, weights=weights)
    world.start()
    world.complete(world.wait_round(), scores)
    row = eventually(world.chain.weights, what="weights are on the chain")
    assert set(row) == {keys.address(f"//{name}") for name in paid}
    if "burn" in weights:
        assert row[OWNER] / sum(row.values()) == pytest.approx(0.8, abs=1e-4)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="it is reported")


def test_what_people_may_ask(start_world: Start, eventually: Eventually) -> None:
    world = start_world(chain={"owner": True})
    world.start()
    round_ = world.wait_round()
    world.complete(round_, SCORES)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="weights are set")

    def ask(*verbs: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bitagent_validator.main", *verbs, "--name", "val"]
        environment = os.environ | {"KUBECONFIG": str(world.kubeconfig)}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        command += ["--namespace", world.namespace]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    history = ask("weights", "history")
    assert history.returncode == 0, history.stderr
    (line,) = history.stdout.splitlines()[1:]
    assert round_["metadata"]["name"] in line
    assert " set " in line
    row = ask("weights", "row", "--json")
    assert row.returncode == 0, row.stderr
    found = {each["hotkey"]: each for each in map(json.loads, row.stdout.splitlines())}
    assert {hotkey: each["weight"] for hotkey, each in found.items()} == world.chain.weights()
    assert {part["origin"] for each in found.values() for part in each["parts"]} == {"Results"}
    assert all(each["weight"] == each["on_chain"] for each in found.values())
    doctor = ask("doctor")
    bad = [each for each in doctor.stdout.splitlines() if each.startswith("PROBLEM")]
    assert ["only one endpoint" in each for each in bad] == [True], doctor.stdout + doctor.stderr
    assert doctor.returncode == 1


def test_what_is_not_set_is_said(start_world: Start, eventually: Eventually) -> None:
    world = start_world(weights={"fill": "None"})
    world.start()
    world.complete(world.wait_round(), NONE)
    eventually(lambda: world.condition("WeightsCurrent") == ("False", "NoEligibleMiners"), what="it is reported")
    assert world.chain.settings() == []


@pytest.mark.parametrize("escrow", [True, False], ids=["revealed", "dropped"])
def test_sealed_is_not_set(start_world: Start, eventually: Eventually, escrow: bool) -> None:
    """V5: without the escrow the chain cannot open the row, as if it missed the drand round."""
    world = start_world(chain={"commit_reveal_weights_enabled": True})
    world.start(escrow=escrow)
    world.complete(world.wait_round(), SCORES)
    eventually(world.chain.settings, what="the row is committed")
    eventually(lambda: world.condition("WeightsCurrent")[1] == "RevealPending", what="it is not called set")
    if escrow:
        eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="it is revealed")
        assert set(world.chain.weights()) == {keys.address("//a"), keys.address("//b")}
        return
    eventually(lambda: len(world.chain.settings()) > 1, what="it is committed again")
    events = world.plane.api.get(world.at("events", group="api/v1"))["items"]
    assert "RevealMissed" in [event["reason"] for event in events]


async def test_another_process_is_named_and_not_fought(
    start_world: Start, eventually: Eventually, tmp_path: Path
) -> None:
    """V4: an old neuron that was left running."""
    world = start_world()
    await asyncio.to_thread(world.start)
    round_ = await asyncio.to_thread(world.wait_round)
    await asyncio.to_thread(world.complete, round_, SCORES)
    await asyncio.to_thread(
        eventually, lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="weights are set"
    )
    await asyncio.to_thread(world.chain.wait_blocks, 5)
    file = tmp_path / "hotkey"
    foreign = SubmissionRequest(
        endpoint=world.chain.endpoint,
        hotkey_file=file,
        hotkey=keys.address("//Validator"),
        netuid=20,
        weights={3: 65535},
        version_key=0,
        era_blocks=32,
    )
    assert (await submit(foreign, timeout_seconds=60)).outcome is SubmissionOutcome.INCLUDED
    await asyncio.to_thread(
        eventually,
        lambda: world.condition("WeightsCurrent") == ("False", "ForeignWeights"),
        what="the other process is recognised",
    )
    await asyncio.to_thread(world.chain.wait_blocks, 12)
    assert len(world.chain.settings()) == 2, "it is not fought"


@pytest.mark.parametrize("kind", ["error_null", "null", "no_result", "wrong_type", "not_hex", "cut", "not_json"])
def test_an_odd_answer_ends_no_process(start_world: Start, eventually: Eventually, kind: str) -> None:
    """V10: the next answers of the node are odd, whatever it is asked."""
    world = start_world()
    process = world.start()
    round_ = world.wait_round()
    # Without an answer that is JSON the SDK waits for its time limit.
    times = 1 if kind == "not_json" else 3
    world.chain.post("faults", calls=[{"kind": kind, "times": times, "skip": skip} for skip in (0, 5)])
    world.complete(round_, SCORES)
    eventually(world.chain.weights, what="weights are on the chain")
    assert process.poll() is None
    assert [setting["error"] for setting in world.chain.settings()] == [None]


def test_a_node_with_old_blocks_is_left(start_world: Start, start_chain: Start, eventually: Eventually) -> None:
    """V9: its newest block is of 2023."""
    world, old = start_world(), start_chain(seeded={"genesis_timestamp": 1_700_000_000})
    world.plane.api.merge(world.at("validators", "val"), {"spec": {"chain": {"endpoints": [old.endpoint]}}})
    process = world.start()
    eventually(lambda: world.condition("ChainConnected") == ("False", "ChainBehind"), what="it is named")
    assert process.poll() is None
    both = [old.endpoint, world.chain.endpoint]
    world.plane.api.merge(world.at("validators", "val"), {"spec": {"chain": {"endpoints": both}}})
    eventually(lambda: process.poll() is not None, what="the process ends, to begin with the new endpoints")
    world.start("pod-2")
    eventually(lambda: world.condition("ChainConnected") == ("True", "Connected"), what="the other one is used")


def test_another_key_in_the_file_ends_the_process(start_world: Start, eventually: Eventually, tmp_path: Path) -> None:
    """V14: the Deployment starts it again, with the new key."""
    world = start_world()
    process = world.start()
    world.wait_round()
    (tmp_path / "hotkey").write_bytes(keys.keyfile("//Another"))
    eventually(lambda: process.poll() is not None, what="the process ends")
    assert process.poll() == 0


def test_a_held_row_waits_for_a_person(start_world: Start, eventually: Eventually) -> None:
    """V30."""
    world = start_world(weights={"guard": {"minimumModels": 3}})
    world.start()
    round_ = world.wait_round()
    world.complete(round_, SCORES)
    eventually(lambda: world.condition("WeightsCurrent") == ("False", "GuardHeld"), what="the row is held")
    assert world.chain.settings() == []
    annotations = {"bitagent.io/accept-weights": round_["metadata"]["name"]}
    world.plane.api.merge(world.at("validators", "val"), {"metadata": {"annotations": annotations}})
    eventually(world.chain.weights, what="weights are on the chain")


def test_the_best_block_may_be_read(start_world: Start, eventually: Eventually) -> None:
    """V20: blocks go on, and none becomes final."""
    world = start_world()
    change = {"chain": {"endpoints": [world.chain.endpoint], "read": "Best"}}
    world.plane.api.merge(world.at("validators", "val"), {"spec": change})
    world.start()
    round_ = world.wait_round()
    world.chain.post("faults", stall_finality=True)
    world.complete(round_, SCORES)
    world.chain.include_next()
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="they are recognised")


def test_a_suspended_validator_claims_nothing(start_world: Start, eventually: Eventually) -> None:
    world = start_world()
    process = world.start()
    world.complete(world.wait_round(), SCORES)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="weights are set")
    world.plane.api.merge(world.at("validators", "val"), {"spec": {"suspend": True}})
    assert world.stop(process, signal.SIGTERM) == 0
    for kind in ("Registered", "Permitted", "WeightsCurrent"):
        assert world.condition(kind) == ("Unknown", "Suspended")


def test_no_round_for_weights_that_cannot_be_set(start_world: Start, eventually: Eventually) -> None:
    world = start_world(chain={"permit": False})
    world.start()
    eventually(lambda: world.condition("RoundCurrent") == ("False", "RoundsNotStarted"), what="it is reported")
    assert world.rounds() == []


def test_each_mechanism_has_weights(start_world: Start, eventually: Eventually) -> None:
    """V16."""
    world = start_world(chain={"mechanisms": 2, "weights_rate_limit": 4}, competition={"mechanism": 1})
    world.start()
    world.complete(world.wait_round(), SCORES)
    (setting,) = eventually(world.chain.settings, what="the row is set")
    assert (setting["args"]["mecid"], setting["error"]) == (1, None)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="it is read back")
