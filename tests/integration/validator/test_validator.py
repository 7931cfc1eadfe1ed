"""The validator from an epoch's first block to weights on the chain, and everything that may get in between."""

from __future__ import annotations

import math
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.seeds import SeedFrom
from bitagent_local.chain import keys

pytestmark = pytest.mark.integration

SCORES = {"a": "0.800000", "b": "0.400000", "c": "0.000000"}


def by_hand(scores: dict[str, str]) -> dict[str, int]:
    """The row that the BitAgent policy gives, as the chain stores it; a score of 0 earns nothing."""
    raised = {keys.address(f"//{name}"): math.exp(5 * float(score)) - 1 for name, score in scores.items()}
    return {hotkey: round(value / max(raised.values()) * 65535) for hotkey, value in raised.items() if value}


def test_weights_follow_a_complete_round(start_world: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    world = start_world(competition={"schedule": {"everyBlocks": 80, "offset": 3}})
    world.start()

    first = world.wait_round()
    epoch = int(first["metadata"]["labels"]["bitagent.io/epoch"])
    assert first["metadata"]["name"] == f"val-fc-{epoch}"
    assert first["metadata"]["ownerReferences"][0]["uid"] == world.validator()["metadata"]["uid"]
    assert set(first["spec"]["tasks"]["seedFrom"]) == {"block", "secretDigest"}
    world.freeze(first)
    seed_from = world.wait_seed(first)
    assert seed_from["blockHash"] == world.chain.block_hash(seed_from["block"])
    assert SeedFrom.model_validate(seed_from).seed().startswith("0x")
    eventually(lambda: world.condition("RoundCurrent")[1] == "RoundInProgress", what="its progress is reported")
    assert world.condition("ChainConnected") == ("True", "Connected")
    assert world.condition("Registered") == ("True", "Registered")
    assert world.condition("Permitted") == ("True", "PermitHeld")
    assert world.condition("WeightsCurrent") == ("False", "WeightsPending")
    assert world.chain.settings() == []

    world.complete(first, SCORES)
    eventually(world.chain.weights, what="weights are on the chain")
    assert world.chain.weights() == by_hand(SCORES)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="they are reported")
    status = world.validator()["status"]
    assert status["lastWeights"]["rounds"] == [f"val-fc-{epoch}"]
    assert status["lastWeights"]["hotkeys"] == 2
    assert status["unpaid"] == [{"competition": "fc", "hotkey": keys.address("//c"), "reason": "AtBaseline"}]
    assert status["lastWeights"]["extrinsic"] == f"{status['lastWeights']['block']}-0001"
    assert math.isclose(sum(float(w["weight"]) for w in status["weights"]), 1, abs_tol=1e-5)
    assert status["weights"][0]["hotkey"] == keys.address("//a")

    second = world.wait_round(2)
    assert second["metadata"]["labels"]["bitagent.io/epoch"] == str(epoch + 1)
    assert second["spec"]["tasks"]["seedFrom"]["secretDigest"] != seed_from["secretDigest"]
    assert len(world.chain.settings()) == 1, "unchanged weights are not set again"
    events = world.plane.api.get(world.at("events", group="api/v1"))["items"]
    assert [e["reason"] for e in events].count("WeightsSet") == 1


def test_killed_before_the_weights(start_world: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    world = start_world()
    process = world.start()
    round_ = world.wait_round()
    world.stop(process)
    world.complete(round_, SCORES)
    world.start()
    eventually(world.chain.weights, what="weights are on the chain")
    world.chain.wait_blocks(12)
    assert world.chain.weights() == by_hand(SCORES)
    assert len(world.chain.settings()) == 1


def test_killed_while_submitting(start_world: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    """The extrinsic is in a block that is not final, and the pod that sent it is gone."""
    world = start_world()
    process = world.start()
    round_ = world.wait_round()
    world.chain.post("faults", stall_finality=True)
    world.complete(round_, SCORES)
    world.chain.include_next()
    world.stop(process)
    world.chain.post("faults", stall_finality=False)
    world.start()
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="the weights are recognised")
    world.chain.wait_blocks(12)
    assert [s["error"] for s in world.chain.settings()] == [None]
    last = world.validator()["status"]["lastWeights"]
    assert last["extrinsic"] == f"{last['block']}-0001"


def test_submission_that_times_out_is_not_repeated(
    start_world: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    world = start_world(weights={"timeoutSeconds": 15})
    world.start("pod-1", "--stall-seconds", "60")
    round_ = world.wait_round()
    world.chain.post("faults", stall_finality=True)
    world.complete(round_, SCORES)
    world.chain.include_next()
    eventually(lambda: world.condition("WeightsCurrent")[1] == "SubmissionTimedOut", what="the time-out is reported")
    world.chain.post("faults", stall_finality=False)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="the weights are recognised")
    world.chain.wait_blocks(12)
    assert [s["error"] for s in world.chain.settings()] == [None]


def test_a_record_that_is_deleted_by_hand_costs_nothing(
    start_world: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    world = start_world(competition={"schedule": {"everyBlocks": 40}})
    process = world.start()
    world.complete(world.wait_round(), SCORES)
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="the first weights are set")
    world.plane.api.delete(world.at("configmaps", "val-scores", group="api/v1"))
    world.complete(world.wait_round(2), SCORES | {"b": "0.900000"})
    # The mean of both rounds, the first of which is read again from its EvalRound.
    expected = by_hand(SCORES | {"b": "0.650000"})
    eventually(lambda: world.chain.weights() == expected, what="the second round's weights are set")
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="and reported")
    assert process.poll() is None
    assert [s["error"] for s in world.chain.settings()] == [None, None]
    held = world.plane.api.get(world.at("configmaps", "val-scores", group="api/v1"))
    assert world.chain.state()["genesis_hash"] in held["data"]["state.json"]


def test_a_failed_round_gives_no_weights(start_world: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    world = start_world()
    world.start()
    results = [{"model": "a", "state": "Succeeded", "reason": "Evaluated", "score": "0.900000"}]
    world.report(world.wait_round(), condition="Failed", results=results)
    eventually(lambda: world.condition("RoundCurrent") == ("False", "RoundFailed"), what="the failure is reported")
    world.chain.wait_blocks(8)
    assert world.chain.settings() == []
    assert world.condition("WeightsCurrent") == ("False", "WeightsPending")


def test_one_pod_acts(start_world: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    world = start_world()
    first = world.start("pod-1")
    eventually(lambda: world.holder() == "pod-1", what="the first pod holds the lease")
    second = world.start("pod-2")
    world.complete(world.wait_round(), SCORES)
    eventually(world.chain.weights, what="weights are on the chain")
    world.chain.wait_blocks(12)
    assert len(world.chain.settings()) == 1
    assert (first.poll(), second.poll(), world.holder()) == (None, None, "pod-1")
    assert world.stop(first, signal.SIGTERM) == 0
    eventually(lambda: world.holder() == "pod-2", what="the second pod holds the lease that the first one released")
    eventually(lambda: world.condition("WeightsCurrent") == ("True", "WeightsSet"), what="and finds the weights set")
    assert len(world.chain.settings()) == 1


def test_dropped_connections_cost_nothing(start_world: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    world = start_world()
    process = world.start()
    round_ = world.wait_round()
    world.chain.post("faults", drop_connections=10)
    world.complete(round_, SCORES)
    eventually(world.chain.weights, what="weights are on the chain")
    assert world.chain.weights() == by_hand(SCORES)
    assert process.poll() is None


def test_another_chain_is_refused(
    start_world: Callable[..., Any], start_chain: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """The second endpoint is of another chain, whose blocks, neurons and rules the scores are not about."""
    world, other = start_world(), start_chain(weights_rate_limit=5)
    endpoints = [world.chain.endpoint, other.endpoint]
    world.plane.api.merge(world.at("validators", "val"), {"spec": {"chain": {"endpoints": endpoints}}})
    world.start()
    round_ = world.wait_round()
    world.chain.process.kill()
    world.complete(round_, SCORES)
    eventually(lambda: "is another chain" in world.validator()["status"]["message"], what="the other chain is refused")
    assert world.condition("ChainConnected") == ("False", "WrongChain")
    other.wait_blocks(12)
    assert other.settings() == []


@pytest.mark.parametrize(
    ("chain", "weights", "condition", "reason"),
    [
        pytest.param({"permit": False}, {}, "Permitted", "NoPermit", id="no permit"),
        pytest.param(
            {"weights_version": 7}, {"versionKey": 6}, "WeightsCurrent", "VersionKeyTooLow", id="old version key"
        ),
        pytest.param({}, {"mode": "DryRun"}, "WeightsCurrent", "DryRun", id="dry run"),
    ],
)
def test_nothing_is_sent_that_the_chain_would_refuse(
    start_world: Callable[..., Any],
    eventually: Callable[..., Any],
    chain: Any,
    weights: Any,
    condition: str,
    reason: str,
) -> None:
    world = start_world(chain=chain, weights=weights, roundsWithoutPermit=True)
    world.start()
    world.complete(world.wait_round(), SCORES)
    eventually(lambda: world.validator().get("status", {}).get("weights"), what="weights are computed")
    eventually(lambda: world.condition(condition) == ("False", reason), what=f"{condition} is False for {reason}")
    assert world.chain.settings() == []


def test_a_policy_of_an_installed_package(
    start_world: Callable[..., Any], eventually: Callable[..., Any], example_plugin_folder: Path
) -> None:
    """The image lacks the package at first."""
    world = start_world(competition={"policy": "EqualShares"})
    process = world.start()
    world.complete(world.wait_round(), SCORES)
    eventually(lambda: world.condition("WeightsCurrent") == ("False", "PolicyUnavailable"), what="it is reported")
    assert "known policies: BitAgent" in world.validator()["status"]["message"]
    world.chain.wait_blocks(8)
    assert (world.chain.settings(), process.poll()) == ([], None)
    world.stop(process)
    world.start(packages=example_plugin_folder)
    eventually(world.chain.weights, what="weights are on the chain")
    assert world.chain.weights() == {keys.address("//a"): 65535, keys.address("//b"): 65535}


def test_probes_and_metrics(start_world: Callable[..., Any], eventually: Callable[..., Any], free_port: Any) -> None:
    world = start_world()
    health, metrics = free_port(), free_port()
    world.start("pod-1", "--health-port", str(health), "--metrics-port", str(metrics))

    def get(port: int, at: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{at}", timeout=60) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    eventually(lambda: get(health, "/readyz") == "ok", what="the pod is ready")
    assert get(health, "/healthz") == "ok"
    text = eventually(lambda: t if "chain_connected 1.0" in (t := get(metrics, "/metrics")) else "", what="metrics")
    assert "bitagent_validator_lease_held 1.0" in text
    assert "bitagent_validator_finalized_block" in text
