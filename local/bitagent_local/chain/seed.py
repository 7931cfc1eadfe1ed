"""The seed file, in YAML or JSON: the state of the chain at its genesis."""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bitagent_local.chain import keys

Key = Annotated[str, AfterValidator(keys.address), Field(max_length=120)]
U16 = Annotated[int, Field(ge=0, le=65535)]
U64 = Annotated[int, Field(ge=0, lt=2**64)]

RAO_PER_TOKEN = 10**9


class SeedModel(BaseModel):
    """Base of the seed's models: a misspelt field is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Neuron(SeedModel):
    """One registered hotkey; also the body of the admin's ``POST /neurons``."""

    hotkey: Key = Field(description="ss58 address, or a development URI such as //Validator")
    coldkey: Key = Field(description="as hotkey; default //NAME-cold for //NAME, else the hotkey")
    stake: Decimal = Field(default=Decimal(0), ge=0, le=10**9, description="stake in the subnet's token")
    permit: bool = Field(default=False, description="may set weights for others (a validator permit)")
    axon: str | None = Field(
        default=None, max_length=60, description='served endpoint, "10.0.0.1:8091" or "[::1]:8091"'
    )
    commitment: str | None = Field(default=None, min_length=1, max_length=128, description="text committed on chain")

    @model_validator(mode="before")
    @classmethod
    def _coldkey(cls, data: Any) -> Any:
        if isinstance(data, dict) and "coldkey" not in data and isinstance(data.get("hotkey"), str):
            return {**data, "coldkey": keys.default_coldkey(data["hotkey"])}
        return data

    @model_validator(mode="after")
    def _axon(self) -> Self:
        self.endpoint()
        if self.commitment is not None and len(self.commitment.encode()) > 128:
            raise ValueError("a commitment holds at most 128 bytes")
        return self

    def endpoint(self) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int] | None:
        """Return the axon's address and port. Raises ValueError if it is not an address and a port."""
        if self.axon is None:
            return None
        host, _, port = self.axon.rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"axon {self.axon!r} has no port between 1 and 65535")
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")), int(port)

    @property
    def rao(self) -> int:
        """The stake in the chain's smallest unit."""
        return int(self.stake * RAO_PER_TOKEN)


class Hyperparameters(SeedModel):
    """The subnet's rules that this chain enforces or reports."""

    weights_rate_limit: U64 = Field(default=5, description="blocks between two weight settings of a hotkey; 0 = none")
    min_allowed_weights: U16 = Field(default=1, description="smallest number of weights in a vector")
    max_weights_limit: U16 = Field(default=65535, description="largest share of one weight, of 65535")
    weights_version: U64 = Field(default=0, description="smallest accepted version key")
    commit_reveal_weights_enabled: bool = Field(default=False, description="weights must be sealed commits")
    stake_threshold: Decimal = Field(default=Decimal(0), ge=0, description="smallest stake that may set weights")
    immunity_period: U16 = Field(default=5000, description="blocks; reported only")
    max_allowed_uids: U16 = Field(default=256, description="largest number of neurons")


class Seed(SeedModel):
    """A whole chain."""

    netuid: int = Field(default=20, ge=1, le=4095)
    name: str = Field(default="local", max_length=32, description="the subnet's name")
    tempo: int = Field(default=20, ge=1, le=65535, description="blocks from one epoch to the next")
    start_block: int = Field(default=1, ge=1, le=2**29, description="number of the first block after the genesis")
    genesis_timestamp: int | None = Field(
        default=None,
        ge=0,
        description="unix seconds of the first block, from which block times are computed: the hashes of blocks "
        "without extrinsics repeat from run to run; without it, blocks carry the wall clock",
    )
    hyperparameters: Hyperparameters = Hyperparameters()
    neurons: tuple[Neuron, ...] = Field(default=(), max_length=1024)

    @model_validator(mode="after")
    def _neurons(self) -> Self:
        hotkeys = [neuron.hotkey for neuron in self.neurons]
        if twice := {hotkey for hotkey in hotkeys if hotkeys.count(hotkey) > 1}:
            raise ValueError(f"hotkeys named twice: {', '.join(sorted(twice))}")
        if len(hotkeys) > self.hyperparameters.max_allowed_uids:
            raise ValueError(f"{len(hotkeys)} neurons, but max_allowed_uids is {self.hyperparameters.max_allowed_uids}")
        return self


def load(path: Path) -> Seed:
    """Read a seed file.

    Raises OSError if it cannot be read, ValueError if it is not a seed in YAML or JSON (pydantic names the field).
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is neither YAML nor JSON: {error}") from error
    return Seed.model_validate(content if content is not None else {})
