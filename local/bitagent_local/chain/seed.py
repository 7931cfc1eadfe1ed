"""The seed file, in YAML or JSON: the state of the chain at its genesis."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bitagent_local.chain import keys

Key = Annotated[str, AfterValidator(keys.address), Field(max_length=120)]
U16 = Annotated[int, Field(ge=0, le=65535)]
U64 = Annotated[int, Field(ge=0, lt=2**64)]

Tokens = Annotated[Decimal, Field(ge=0, le=10**9, allow_inf_nan=False)]

RAO_PER_TOKEN = 10**9


def rao(tokens: Decimal) -> int:
    """Return an amount of TAO or of a subnet's token in the chain's smallest unit."""
    return int(tokens * RAO_PER_TOKEN)


class SeedModel(BaseModel):
    """Base of the seed's models: a misspelt field is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Neuron(SeedModel):
    """One registered hotkey; also the body of the admin's ``POST /neurons``."""

    hotkey: Key = Field(description="ss58 address, or a development URI such as //Validator")
    coldkey: Key = Field(description="as hotkey; default //NAME-cold for //NAME, else the hotkey")
    stake: Tokens = Field(default=Decimal(0), description="stake in the subnet's token")
    balance: Tokens = Field(default=Decimal(100), description="TAO of the coldkey")
    permit: bool | None = Field(
        default=None,
        description="may set weights for others (a validator permit); without a value the stake decides it at each "
        "epoch, true and false are held against the stake",
    )
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
        return rao(self.stake)


class Hyperparameters(SeedModel):
    """The subnet's rules; also the body of the admin's ``POST /hyperparameters``, which changes the given ones."""

    weights_rate_limit: U64 = Field(default=5, description="blocks between two weight settings of a hotkey; 0 = none")
    min_allowed_weights: U16 = Field(default=1, description="smallest number of weights in a vector")
    max_weights_limit: U16 = Field(default=65535, description="largest share of one weight, of 65535")
    weights_version: U64 = Field(default=0, description="smallest accepted version key; 0 = any")
    commit_reveal_weights_enabled: bool = Field(default=False, description="weights must be sealed commits")
    commit_reveal_period: int = Field(default=1, ge=1, le=100, description="epochs from a commit to its reveal")
    commit_reveal_version: U16 = Field(default=4, description="the only version of commits that is accepted")
    mechanisms: int = Field(default=1, ge=1, le=8, description="mechanisms, each with weights of its own")
    stake_threshold: Tokens = Field(default=Decimal(0), description="smallest stake that may set weights")
    max_validators: U16 = Field(default=128, description="permits that an epoch gives, by stake")
    activity_cutoff_factor: int = Field(
        default=13_889,
        ge=1,
        le=2**31,
        description="1/1000 tempos without an update after which a validator is inactive",
    )
    immunity_period: U16 = Field(default=5000, description="blocks in which a newcomer's slot is not taken")
    min_non_immune: U16 = Field(default=0, description="neurons outside immunity that always stay (real chain: 10)")
    max_allowed_uids: U16 = Field(default=256, description="largest number of neurons")
    registration_allowed: bool = Field(default=True, description="whether burned_register is open")
    burn: Tokens = Field(default=Decimal("0.1"), description="TAO that a registration costs")
    serving_rate_limit: U64 = Field(default=50, description="blocks between two serve_axon of a hotkey; 0 = none")
    kappa: U16 = Field(default=32767, description="majority of consensus, of 65535")
    bonds_moving_average: int = Field(default=900_000, ge=0, le=1_000_000, description="weight of old bonds, of 1e6")
    bonds_penalty: U16 = Field(default=65535, description="how much of a weight above consensus buys no bond")


ITEMS: Mapping[str, str] = {
    "weights_rate_limit": "WeightsSetRateLimit",
    "min_allowed_weights": "MinAllowedWeights",
    "max_weights_limit": "MaxWeightsLimit",
    "weights_version": "WeightsVersionKey",
    "commit_reveal_weights_enabled": "CommitRevealWeightsEnabled",
    "commit_reveal_period": "RevealPeriodEpochs",
    "mechanisms": "MechanismCountCurrent",
    "max_validators": "MaxAllowedValidators",
    "activity_cutoff_factor": "ActivityCutoffFactorMilli",
    "immunity_period": "ImmunityPeriod",
    "min_non_immune": "MinNonImmuneUids",
    "max_allowed_uids": "MaxAllowedUids",
    "registration_allowed": "NetworkRegistrationAllowed",
    "burn": "Burn",
    "serving_rate_limit": "ServingRateLimit",
    "kappa": "Kappa",
    "bonds_moving_average": "BondsMovingAverage",
    "bonds_penalty": "BondsPenalty",
}
"""The storage item by netuid of each rule."""
CHAIN_ITEMS: Mapping[str, str] = {
    "stake_threshold": "StakeThreshold",
    "commit_reveal_version": "CommitRevealWeightsVersion",
}
"""The storage item of each rule that holds for all subnets."""


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
    finality_lag: int = Field(default=3, ge=0, le=100, description="blocks that finality trails the head by")
    drand_delay: int = Field(
        default=3, ge=0, le=3600, description="seconds after which the chain has stored a round of drand"
    )
    owner_hotkey: Key = Field(default=keys.address("//Owner"), description="the subnet owner's; may be a neuron")
    owner_coldkey: Key = Field(default=keys.address("//Owner-cold"))
    fee: Tokens = Field(
        default=Decimal(0),
        description="TAO that each call costs: calls of a hotkey are charged to its coldkey. The real chain charges "
        "nothing for weights, serving and commitments today",
    )
    pay_emission: bool = Field(default=False, description="whether an epoch's emission is added to the stakes")
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
