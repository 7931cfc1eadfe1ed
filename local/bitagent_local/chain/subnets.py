"""A whole subnet of one line: V validators and M miners with wallets, funded, staked and registered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bitagent_local.chain import keys
from bitagent_local.chain.seed import Seed

SEED_FILE = "seed.json"
WALLETS = "wallets"


@dataclass(frozen=True)
class Member:
    """One neuron and its wallet."""

    name: str
    """Of the wallet: ``validator-0``, ``miner-3``."""

    @property
    def hotkey(self) -> str:
        """The development URI of its hotkey."""
        return f"//{self.name}"

    @property
    def coldkey(self) -> str:
        """The development URI of its coldkey."""
        return keys.default_coldkey(self.hotkey)


def members(validators: int, miners: int) -> list[Member]:
    """Return the neurons by uid: the owner, who validates nothing, then validators, then miners."""
    names = ["owner"]
    names += [f"validator-{number}" for number in range(validators)]
    names += [f"miner-{number}" for number in range(miners)]
    return [Member(name) for name in names]


def seed(
    validators: int, miners: int, *, stake: Decimal, balance: Decimal, axons: str | None = None, **chain: Any
) -> Seed:
    """Return the seed of a subnet; ``chain`` are further fields of the seed.

    ``axons`` is the address and first port of the miners' axons, ``10.0.0.1:9100``; each miner has the next port.
    Raises ValueError if a field does not fit.
    """
    neurons: list[dict[str, Any]] = []
    served = 0
    for member in members(validators, miners):
        neuron: dict[str, Any] = {"hotkey": member.hotkey, "coldkey": member.coldkey, "balance": str(balance)}
        if member.name.startswith("validator"):
            neuron["stake"] = str(stake)
        if axons and member.name.startswith("miner"):
            host, _, port = axons.rpartition(":")
            if not port.isdecimal():
                raise ValueError(f"axons {axons!r} is not an address and a port, such as 10.0.0.1:9100")
            neuron["axon"] = f"{host}:{int(port) + served}"
            served += 1
        neurons.append(neuron)
    owner = members(validators, miners)[0]
    fields = {"owner_hotkey": owner.hotkey, "owner_coldkey": owner.coldkey, "neurons": neurons}
    return Seed.model_validate({**fields, **chain})


def write(folder: Path, world: Seed, crew: list[Member]) -> None:
    """Write the seed and all wallets into a folder; what is there of the same names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for member in crew:
        keys.write_wallet(folder / WALLETS, name=member.name, hotkey=member.hotkey, coldkey=member.coldkey)
    (folder / SEED_FILE).write_text(world.model_dump_json(indent=2) + "\n", encoding="utf-8")


def table(crew: list[Member], folder: Path) -> str:
    """Return the neurons for a terminal, and how a program finds their wallets."""
    lines = [f"{'UID':>4}  {'WALLET':<14}  HOTKEY"]
    lines += [f"{uid:>4}  {member.name:<14}  {keys.address(member.hotkey)}" for uid, member in enumerate(crew)]
    lines.append(f"wallets: bt.Wallet(NAME, 'default', path={json.dumps(str(folder / WALLETS))})")
    return "\n".join(lines)
