"""Helpers for tests of any distribution: a chain in the test's own event loop, and extrinsics made by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import bittensor_core

from bitagent_local.chain import metadata
from bitagent_local.chain.admin import Admin
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.pallets.escrow import OpenRow
from bitagent_local.chain.seed import Seed
from bitagent_local.chain.server import Server

SECONDS_PER_BLOCK = 0.05


def world(**changes: Any) -> Seed:
    """Return the seed of a subnet with a validator, a validator without a permit, and two miners."""
    content: dict[str, Any] = {
        "netuid": 20,
        "tempo": 10,
        "finality_lag": 0,
        # Blocks of a twentieth of a second: the SDK seals for rounds that are some seconds old.
        "drand_delay": 9,
        "hyperparameters": {"weights_rate_limit": 0},
        "neurons": [
            {"hotkey": "//Validator", "stake": "1000", "permit": True},
            {"hotkey": "//Watcher", "stake": "10", "permit": False},
            {"hotkey": "//Miner", "axon": "10.0.0.1:8091", "commitment": "acme/tiny-fc-1200"},
            {"hotkey": "//Other", "axon": "[2001:db8::1]:8091"},
        ],
    }
    return Seed.model_validate(content | changes)


def node(seed: Seed | None = None, seconds: float = SECONDS_PER_BLOCK) -> ChainNode:
    """Return a chain at its genesis."""
    return ChainNode(seed or world(), milliseconds_per_block=round(seconds * 1000), clock=time.time)


@dataclass(frozen=True)
class RunningChain:
    """A served chain."""

    server: Server
    endpoint: str
    admin: str

    def endpoint_of(self, number: int) -> str:
        """Return the address of one of several endpoints."""
        return f"ws://127.0.0.1:{self.server.ports[number]}"


@asynccontextmanager
async def running(
    seed: Seed | None = None, seconds: float = SECONDS_PER_BLOCK, *, endpoints: int = 1
) -> AsyncIterator[RunningChain]:
    """Serve a chain on free ports."""
    server = Server(node(seed, seconds), endpoints=endpoints)
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    admin = Admin(server, host="127.0.0.1", port=0)
    admin.start()
    serving = asyncio.create_task(server.run("127.0.0.1", 0, started=started))
    try:
        either: list[asyncio.Future[Any]] = [serving, started]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield RunningChain(server, f"ws://127.0.0.1:{started.result()}", f"http://127.0.0.1:{admin.port}")
    finally:
        server.stopping.set()
        await serving
        admin.stop()


@contextmanager
def escrowed(chain: ChainNode) -> Iterator[None]:
    """Hand what this process seals, rows and commitments, to a chain in the same process, so that it can reveal it."""
    seal_row, seal_data = bittensor_core.get_encrypted_commit_v2, bittensor_core.encrypt_at_round

    def sealed_row(**named: Any) -> Any:
        commit, reveal_round = seal_row(**named)
        hotkey = str(bittensor_core.ss58_encode(bytes(named["hotkey"]), metadata.SS58_FORMAT))
        row = OpenRow(hotkey, tuple(named["uids"]), tuple(named["weights"]), int(named["version_key"]))
        chain.escrow.put(bytes(commit), row)
        return commit, reveal_round

    def sealed_data(data: bytes, reveal_round: int) -> Any:
        envelope, used_round = seal_data(data, reveal_round)
        chain.escrow.put(bytes(bittensor_core.inner_ciphertext(envelope)), bytes(data))
        return envelope, used_round

    bittensor_core.get_encrypted_commit_v2, bittensor_core.encrypt_at_round = sealed_row, sealed_data
    try:
        yield
    finally:
        bittensor_core.get_encrypted_commit_v2, bittensor_core.encrypt_at_round = seal_row, seal_data


def key(uri: str) -> Any:
    """Return a development key pair; the SDK accepts it as a wallet."""
    return bittensor_core.Keypair.create_from_uri(uri)


def weights_call(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``set_mechanism_weights``."""
    return {"netuid": 20, "mecid": 0, "dests": [2, 3], "weights": [65535, 32768], "version_key": 0} | changes


def sign(
    chain: ChainNode,
    uri: str,
    args: dict[str, Any],
    *,
    function: str = "set_mechanism_weights",
    pallet: str = "SubtensorModule",
    nonce: int = 0,
    era: Any = "00",
    era_block_hash: bytes | None = None,
    genesis_hash: bytes | None = None,
) -> bytes:
    """Return a signed extrinsic, byte for byte as a client makes it."""
    core, pair = chain.runtime.core, key(uri)
    call = bytes(core.compose_call(pallet, function, args))
    genesis = genesis_hash or chain.blocks.genesis.hash
    payload = core.signature_payload(
        call,
        era=era,
        nonce=nonce,
        tip=0,
        tip_asset_id=None,
        genesis_hash=genesis,
        era_block_hash=era_block_hash or genesis,
    )
    extrinsic, _ = core.encode_signed_extrinsic(
        call,
        public_key=pair.public_key,
        signature=pair.sign(bytes(payload)),
        signature_version=bittensor_core.CRYPTO_SR25519,
        era=era,
        nonce=nonce,
        tip=0,
        tip_asset_id=None,
    )
    return bytes(extrinsic)
