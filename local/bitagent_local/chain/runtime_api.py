"""Runtime calls: reads of the SDK that are computed from the state rather than stored as one value.

A method gets the call and returns plain data of the call's output type, which the runtime encodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain import metadata
from bitagent_local.chain.runtime import type_id
from bitagent_local.chain.storage import View
from bitagent_local.chain.subnet import PALLET, TOKEN_SYMBOL, Subnet


@dataclass(frozen=True)
class RuntimeCall:
    """A runtime call at a block."""

    view: View
    block: int
    subnet_name: str
    name: str
    params: bytes

    @property
    def _described(self) -> dict[str, Any]:
        api, method = self.name.split("_", 1)
        return self.view.runtime.apis[api][method]

    @property
    def output(self) -> str:
        """The type of the answer."""
        return str(self._described["output"])

    def subnet(self) -> Subnet:
        """Return the subnet that the only argument names."""
        ((_, netuid_type),) = self._described["inputs"]
        return Subnet(self.view, int(self.view.runtime.decode(netuid_type, self.params)))


class UnknownRuntimeCall(LookupError):
    """The simulated runtime does not have this method."""


Method = Callable[[RuntimeCall], Any]
METHODS: dict[str, Method] = {}


def provides(name: str) -> Callable[[Method], Method]:
    """Register the method of a runtime call, named as in ``state_call``."""

    def register(method: Method) -> Method:
        METHODS[name] = method
        return method

    return register


def answer(call: RuntimeCall) -> bytes:
    """Run a runtime call.

    Raises UnknownRuntimeCall if there is no such method, ValueError if its arguments do not decode.
    """
    runtime = call.view.runtime
    if call.name == "Metadata_metadata_at_version":
        version = int.from_bytes(call.params[:4], "little")
        return metadata.opaque(runtime.metadata) if version == metadata.METADATA_VERSION else b"\x00"
    if call.name not in METHODS:
        raise UnknownRuntimeCall(call.name)
    return runtime.encode(call.output, METHODS[call.name](call))


@provides("SubnetInfoRuntimeApi_get_metagraph")
def metagraph(call: RuntimeCall) -> dict[str, Any] | None:
    """Return the whole subnet. Ranks, incentives and emissions are zero: there is no consensus here."""
    subnet = call.subnet()
    if not subnet.exists:
        return None
    runtime = call.view.runtime
    neurons = list(subnet.neurons())
    no_axon = runtime.neutral(_axon_type(call.view))
    zeros = [0] * len(neurons)
    per_neuron_zero = [
        "emission",
        "dividends",
        "incentives",
        "consensus",
        "trust",
        "rank",
        "pruning_score",
        "tao_stake",
        "collateral_locked",
        "collateral_min",
        "collateral_earned",
    ]
    return runtime.record(
        runtime.inner_type(call.output),
        **dict.fromkeys(per_neuron_zero, zeros),
        netuid=subnet.netuid,
        name=list(call.subnet_name.encode()),
        symbol=list(TOKEN_SYMBOL.encode()),
        block=call.block,
        tempo=subnet.get("Tempo"),
        last_step=subnet.get("LastEpochBlock"),
        blocks_since_last_step=subnet.get("BlocksSinceLastStep"),
        num_uids=len(neurons),
        max_uids=subnet.get("MaxAllowedUids"),
        immunity_period=subnet.get("ImmunityPeriod"),
        activity_cutoff=subnet.get("ActivityCutoff"),
        min_allowed_weights=subnet.get("MinAllowedWeights"),
        max_weights_limit=subnet.get("MaxWeightsLimit"),
        weights_rate_limit=subnet.get("WeightsSetRateLimit"),
        weights_version=subnet.get("WeightsVersionKey"),
        commit_reveal_weights_enabled=subnet.get("CommitRevealWeightsEnabled"),
        commit_reveal_period=subnet.get("RevealPeriodEpochs"),
        registration_allowed=True,
        # A price of 1: as much of the subnet's token in the pool as of TAO.
        tao_in=10**12,
        alpha_in=10**12,
        hotkeys=[neuron.hotkey for neuron in neurons],
        coldkeys=[neuron.coldkey for neuron in neurons],
        identities=[None] * len(neurons),
        axons=[neuron.axon or no_axon for neuron in neurons],
        active=[True] * len(neurons),
        validator_permit=[neuron.permit for neuron in neurons],
        last_update=[neuron.last_update for neuron in neurons],
        block_at_registration=[neuron.registered_at for neuron in neurons],
        alpha_stake=[neuron.stake for neuron in neurons],
        total_stake=[neuron.stake for neuron in neurons],
    )


@provides("NeuronInfoRuntimeApi_get_neurons_lite")
def neurons_lite(call: RuntimeCall) -> list[dict[str, Any]]:
    """Return a record for each neuron."""
    subnet = call.subnet()
    runtime = call.view.runtime
    no_axon = runtime.neutral(_axon_type(call.view))
    return [
        runtime.record(
            runtime.inner_type(call.output),
            hotkey=neuron.hotkey,
            coldkey=neuron.coldkey,
            uid=neuron.uid,
            netuid=subnet.netuid,
            active=True,
            axon_info=neuron.axon or no_axon,
            stake=[(neuron.coldkey, neuron.stake)],
            last_update=neuron.last_update,
            validator_permit=neuron.permit,
        )
        for neuron in subnet.neurons()
    ]


@provides("SubnetInfoRuntimeApi_get_subnet_hyperparams_v3")
def hyperparameters(call: RuntimeCall) -> list[dict[str, Any]] | None:
    """Return the subnet's hyperparameters by name."""
    subnet = call.subnet()
    if not subnet.exists:
        return None
    items = (
        ("tempo", "U16", "Tempo"),
        ("immunity_period", "U16", "ImmunityPeriod"),
        ("weights_version", "U64", "WeightsVersionKey"),
        ("weights_rate_limit", "U64", "WeightsSetRateLimit"),
        ("min_allowed_weights", "U16", "MinAllowedWeights"),
        ("max_weights_limit", "U16", "MaxWeightsLimit"),
        ("activity_cutoff", "U16", "ActivityCutoff"),
        ("commit_reveal_weights_enabled", "Bool", "CommitRevealWeightsEnabled"),
        ("commit_reveal_period", "U64", "RevealPeriodEpochs"),
    )
    return [{"name": list(name.encode()), "value": {kind: subnet.get(item)}} for name, kind, item in items]


@provides("SubnetInfoRuntimeApi_get_next_epoch_start_block")
def next_epoch_start_block(call: RuntimeCall) -> int | None:
    """Return the block of the next epoch."""
    subnet = call.subnet()
    return subnet.next_epoch() if subnet.exists else None


@provides("TransactionPaymentApi_query_info")
def payment_info(call: RuntimeCall) -> dict[str, Any]:
    """Return the fee of a call, which is zero."""
    return {"weight": {"ref_time": 1000, "proof_size": 0}, "class": "Normal", "partial_fee": 0}


def _axon_type(view: View) -> int:
    return type_id(view.runtime.core.storage_entry(PALLET, "Axons").value_type)
