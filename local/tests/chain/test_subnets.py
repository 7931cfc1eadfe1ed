"""The command that makes a subnet, the one that changes a running chain, and the hook that hands over sealed rows."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import bittensor as bt
import pytest

from bitagent_local.chain import keys, seed, subnets
from bitagent_local.chain.__main__ import main
from bitagent_local.chain.pallets import balances
from bitagent_local.chain.readback import connected
from bitagent_local.chain.testing import node, running, world
from bitagent_local.cluster.host import SOURCES


def _run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    monkeypatch.setattr(sys, "argv", ["chain", *argv])
    return main()


async def test_one_command_makes_a_subnet_with_wallets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["subnet", "--validators", "2", "--miners", "3", "--folder", str(tmp_path), "--write-only"]
    arguments += ["--axons", "10.0.0.1:9100", "--tempo", "7", "--set", "burn=0.5", "--sealed"]
    assert _run(monkeypatch, *arguments) == 0
    assert "validator-1" in capsys.readouterr().out
    chain = node(seed.load(tmp_path / "seed.json"))
    subnet, wallets = chain.subnet, str(tmp_path / "wallets")
    names = [member.name for member in subnets.members(2, 3)]
    for uid, name in enumerate(names):
        wallet = bt.Wallet(name, "default", path=wallets)
        assert subnet.hotkey(uid) == wallet.hotkey.ss58_address
        assert subnet.coldkey(subnet.hotkey(uid)) == wallet.coldkeypub.ss58_address == wallet.coldkey.ss58_address
        assert balances.free(subnet.view, wallet.coldkeypub.ss58_address) == 100 * 10**9
    assert subnet.get("ValidatorPermit") == [True, True, True, False, False, False], "the owner's and the staked ones"
    assert [neuron.axon["port"] for neuron in subnet.neurons() if neuron.axon] == [9100, 9101, 9102]
    assert (subnet.owner_uid(), subnet.get("Tempo"), subnet.get("Burn")) == (0, 7, 5 * 10**8)
    assert subnet.get("CommitRevealWeightsEnabled") is True


def test_a_wrong_rule_or_axon_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in ((["--set", "burn"], "FIELD=VALUE"), (["--set", "speed=3"], "speed")):
        assert _run(monkeypatch, "subnet", "--folder", str(tmp_path), "--write-only", *arguments) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match="is not an address and a port"):
        subnets.seed(1, 1, stake=Decimal(1), balance=Decimal(1), axons="10.0.0.1")


async def test_verbs_reach_a_running_chain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as chain:

        async def admin(*argv: str) -> int:
            return await asyncio.to_thread(_run, monkeypatch, "admin", "--admin-url", chain.admin, *argv)

        assert await admin("hyperparameters", "weights_rate_limit=9") == 0
        assert json.loads(capsys.readouterr().out) == {"changed": ["weights_rate_limit"]}
        assert await admin("faults", "lag=2", "mute=0") == 0
        assert chain.server.endpoints[0].peer.lag == 2
        assert await admin("state") == 0
        assert await admin("reorg", "depth=9") == 2
        assert "are not final" in capsys.readouterr().err


async def test_a_process_hands_over_what_it_seals(tmp_path: Path) -> None:
    """The hook is all that a program needs: it wraps the SDK when Python starts."""
    program = """
import asyncio, sys, bittensor as bt, bittensor_core
async def run(url):
    async with bt.Subtensor(url, fallback_endpoints=[], archive_endpoints=[]) as client:
        key = bittensor_core.Keypair.create_from_uri("//Validator")
        result = await client.execute(bt.SetWeights(20, weights={2: 1.0, 3: 0.5}), key)
        print(result.success)
asyncio.run(run(sys.argv[1]))
"""
    rules = {"commit_reveal_weights_enabled": True, "weights_rate_limit": 0}
    async with running(world(hyperparameters=rules)) as chain:
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCES / "escrow"),
            "BITAGENT_LOCAL_ESCROW": chain.admin,
            "BITTENSOR_RUNTIME_CACHE_DIR": str(tmp_path),
        }
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, chain.endpoint],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout.split() == ["True"], done.stderr
        commit = chain.server.node.included[0].extrinsic.call.args["commit"]
        row = chain.server.node.escrow.row(bytes.fromhex(str(commit).removeprefix("0x")))
    assert row is not None
    assert (row.targets, row.values) == ((2, 3), (65535, 32768))


async def test_the_sdk_reads_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metagraph, hyperparameters, neurons, weights, bonds, stake and balances of a subnet after its first epoch."""
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path))
    made = subnets.seed(2, 2, stake=Decimal(500), balance=Decimal(7), tempo=10, finality_lag=0)
    crew = [member.hotkey for member in subnets.members(2, 2)]
    async with running(made) as chain, connected(chain.endpoint) as client:
        for uri in crew[1:3]:
            result = await client.execute(
                bt.SetWeights(20, weights={3: 3.0, 4: 1.0}), bt.sp_core.Keypair.create_from_uri(uri)
            )
            assert result.success
        await client.wait_for_block(chain.server.node.subnet.next_epoch() + 1, timeout=60)
        graph = await client.subnets.metagraph(20)
        assert graph.owner_hotkey == graph.hotkeys[0]
        assert [round(neuron.incentive, 2) for neuron in graph] == [0, 0, 0, 0.75, 0.25]
        assert [round(neuron.dividends, 2) for neuron in graph] == [0, 0.5, 0.5, 0, 0]
        assert [neuron.validator_permit for neuron in graph] == [True, True, True, False, False]
        assert all(neuron.active for neuron in graph)
        assert graph.neuron(3).emission.alpha > graph.neuron(4).emission.alpha > 0
        neurons = await client.neurons.all(20)
        assert [neuron.raw["validator_trust"] for neuron in neurons] == [0, 65535, 65535, 0, 0]
        rules = await client.subnets.subnet_hyperparameters(netuid=20)
        assert (rules["max_validators"], rules["serving_rate_limit"], rules["activity_cutoff"]) == (128, 50, 138)
        assert await client.weights.weights(20) == {uid: pytest.approx({3: 0.75, 4: 0.25}, abs=1e-4) for uid in (1, 2)}
        bonds = await client.weights.bonds(20)
        assert set(bonds) == {1, 2}
        schedule = await client.epochs.epoch_status(20)
        assert schedule["next_epoch_start_block"] == schedule["last_epoch_block"] + 10
        assert await client.subnets.mechanism_count(netuid=20) == 1
        coldkey = graph.neuron(1).coldkey
        balance = await client.balances.get(coldkey)
        assert balance.tao == 7


async def test_the_sdk_registers_a_newcomer_for_tao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "wallets"
    keys.write_wallet(folder, name="late", hotkey="//Late", coldkey="//Late-cold")
    wallet = bt.Wallet("late", "default", path=str(folder))
    async with running() as chain, connected(chain.endpoint) as client:
        chain.server.node.set_balance(wallet.coldkey.ss58_address, 10**9)
        # Not by the intent, which is sealed for the MEV shield: this chain has none.
        call = bt.calls.SubtensorModule.burned_register(netuid=20, hotkey=wallet.hotkey.ss58_address)
        result = await client.submit_call(call, wallet)
        assert result.success, result.message
        assert await client.neurons.uid(wallet.hotkey.ss58_address, 20) == 4
