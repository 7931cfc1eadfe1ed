"""Runtime calls about a subnet: the metagraph, its neurons and its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_local.chain.runtime import type_id
from bitagent_local.chain.runtime_api import RuntimeCall, provides
from bitagent_local.chain.storage import View
from bitagent_local.chain.subnet import PALLET, TOKEN_SYMBOL, Subnet, storage_index

HYPERPARAMETERS: Mapping[str, str] = {
    "rho": "Rho",
    "kappa": "Kappa",
    "immunity_period": "ImmunityPeriod",
    "min_allowed_weights": "MinAllowedWeights",
    "max_weights_limit": "MaxWeightsLimit",
    "tempo": "Tempo",
    "min_difficulty": "MinDifficulty",
    "max_difficulty": "MaxDifficulty",
    "weights_version": "WeightsVersionKey",
    "weights_rate_limit": "WeightsSetRateLimit",
    "adjustment_interval": "AdjustmentInterval",
    "registration_allowed": "NetworkRegistrationAllowed",
    "target_regs_per_interval": "TargetRegistrationsPerInterval",
    "min_burn": "MinBurn",
    "max_burn": "MaxBurn",
    "bonds_moving_avg": "BondsMovingAverage",
    "max_regs_per_block": "MaxRegistrationsPerBlock",
    "serving_rate_limit": "ServingRateLimit",
    "max_validators": "MaxAllowedValidators",
    "adjustment_alpha": "AdjustmentAlpha",
    "difficulty": "Difficulty",
    "commit_reveal_period": "RevealPeriodEpochs",
    "commit_reveal_weights_enabled": "CommitRevealWeightsEnabled",
    "liquid_alpha_enabled": "LiquidAlphaOn",
}
"""Names by which hyperparameters are reported, and their storage items."""
WIDTHS: Mapping[str, str] = {
    "rho": "U16",
    "kappa": "U16",
    "immunity_period": "U16",
    "min_allowed_weights": "U16",
    "max_weights_limit": "U16",
    "tempo": "U16",
    "adjustment_interval": "U16",
    "target_regs_per_interval": "U16",
    "max_regs_per_block": "U16",
    "max_validators": "U16",
    "min_burn": "TaoBalance",
    "max_burn": "TaoBalance",
    "registration_allowed": "Bool",
    "commit_reveal_weights_enabled": "Bool",
    "liquid_alpha_enabled": "Bool",
}
"""Variants of the third version's values; the others are U64."""
YUMA_VERSION = 2
DEPRECATED_SCORE = 65535
"""What the runtime reports for the pruning score, which it no longer computes."""


@provides("SubnetInfoRuntimeApi_get_metagraph")
def metagraph(call: RuntimeCall) -> dict[str, Any] | None:
    """Return the whole subnet, with the numbers of its last epoch."""
    subnet = call.subnet()
    return _metagraph(call, subnet) if subnet.exists else None


@provides("SubnetInfoRuntimeApi_get_mechagraph")
def mechagraph(call: RuntimeCall) -> dict[str, Any] | None:
    """Return the whole subnet, with last updates and incentives of one mechanism."""
    netuid, mechanism = (int(argument) for argument in call.arguments())
    subnet = Subnet(call.view, netuid)
    if not subnet.exists or mechanism >= subnet.mechanisms:
        return None
    return _metagraph(call, subnet) | _of_mechanism(subnet, mechanism)


@provides("SubnetInfoRuntimeApi_get_selective_metagraph")
@provides("SubnetInfoRuntimeApi_get_selective_mechagraph")
def selective_metagraph(call: RuntimeCall) -> dict[str, Any] | None:
    """Return chosen parts of the subnet, by their position in the record; clients before SDK 11 read it so."""
    arguments, runtime = call.arguments(), call.view.runtime
    subnet, mechanism = Subnet(call.view, int(arguments[0])), int(arguments[1]) if len(arguments) == 3 else 0
    if not subnet.exists:
        return None
    record = runtime.inner_type(call.output)
    whole = _metagraph(call, subnet) | (_of_mechanism(subnet, mechanism) if mechanism else {})
    whole["validators"] = [neuron.uid for neuron in subnet.neurons() if neuron.permit]
    names = list(runtime.neutral(record))
    chosen = {names[index] for index in map(int, arguments[-1]) if index < len(names)} | {"netuid"}
    return runtime.record(record, **{name: value for name, value in whole.items() if name in chosen})


def _of_mechanism(subnet: Subnet, mechanism: int) -> dict[str, Any]:
    return {
        "netuid": storage_index(subnet.netuid, mechanism),
        "last_update": [subnet.last_update(uid, mechanism=mechanism) for uid in range(subnet.size)],
        "incentives": _padded(subnet.of_mechanism("Incentive", mechanism), subnet.size),
    }


def _metagraph(call: RuntimeCall, subnet: Subnet) -> dict[str, Any]:
    """Return all members of the metagraph's record; the selective one has the same names."""
    runtime = call.view.runtime
    neurons = list(subnet.neurons())
    no_axon = runtime.neutral(_axon_type(call.view))
    zeros = [0] * len(neurons)
    last_step = int(subnet.get("LastMechansimStepBlock"))
    hyperparameters = {
        name: subnet.get(item) for name, item in HYPERPARAMETERS.items() if name not in ("min_burn", "max_burn")
    }
    stakes = [neuron.stake for neuron in neurons]
    alpha_low, alpha_high = subnet.get("AlphaValues")
    # Rank, trust and pruning score stay empty: the runtime no longer computes them.
    record = runtime.inner_type(str(runtime.apis["SubnetInfoRuntimeApi"]["get_metagraph"]["output"]))
    return runtime.record(
        record,
        **hyperparameters,
        **dict.fromkeys(("tao_stake", "collateral_locked", "collateral_min", "collateral_earned"), zeros),
        netuid=subnet.netuid,
        name=list(call.subnet_name.encode()),
        symbol=list(TOKEN_SYMBOL.encode()),
        owner_hotkey=subnet.get("SubnetOwnerHotkey"),
        owner_coldkey=subnet.get("SubnetOwner"),
        network_registered_at=subnet.get("NetworkRegisteredAt"),
        block=call.block,
        last_step=last_step,
        blocks_since_last_step=max(0, call.block - last_step),
        num_uids=len(neurons),
        max_uids=subnet.get("MaxAllowedUids"),
        activity_cutoff=subnet.activity_cutoff(),
        alpha_low=alpha_low,
        alpha_high=alpha_high,
        burn=subnet.get("Burn"),
        min_burn=subnet.get("MinBurn"),
        max_burn=subnet.get("MaxBurn"),
        tao_in=subnet.get("SubnetTAO"),
        alpha_in=subnet.get("SubnetAlphaIn"),
        hotkeys=[neuron.hotkey for neuron in neurons],
        coldkeys=[neuron.coldkey for neuron in neurons],
        identities=[None] * len(neurons),
        axons=[neuron.axon or no_axon for neuron in neurons],
        active=[neuron.active for neuron in neurons],
        validator_permit=[neuron.permit for neuron in neurons],
        last_update=[neuron.last_update for neuron in neurons],
        block_at_registration=[neuron.registered_at for neuron in neurons],
        emission=list(subnet.get("Emission")),
        dividends=list(subnet.get("Dividends")),
        incentives=list(subnet.of_mechanism("Incentive", 0)),
        consensus=list(subnet.get("Consensus")),
        tao_dividends_per_hotkey=[(neuron.hotkey, 0) for neuron in neurons],
        alpha_dividends_per_hotkey=[(neuron.hotkey, 0) for neuron in neurons],
        alpha_stake=stakes,
        total_stake=stakes,
    )


@provides("NeuronInfoRuntimeApi_get_neurons_lite")
def neurons_lite(call: RuntimeCall) -> list[dict[str, Any]]:
    """Return a record for each neuron."""
    return [_neuron(call, record, {}) for record in _neuron_fields(call)]


@provides("NeuronInfoRuntimeApi_get_neurons")
def neurons(call: RuntimeCall) -> list[dict[str, Any]]:
    """Return a record for each neuron, with its weights and bonds."""
    subnet = call.subnet()
    return [
        _neuron(call, record, {name.lower(): _positive(subnet, name, record["uid"]) for name in ("Weights", "Bonds")})
        for record in _neuron_fields(call)
    ]


def _neuron_fields(call: RuntimeCall) -> list[dict[str, Any]]:
    subnet = call.subnet()
    columns = {
        "emission": subnet.get("Emission"),
        "incentive": subnet.of_mechanism("Incentive", 0),
        "consensus": subnet.get("Consensus"),
        "validator_trust": subnet.get("ValidatorTrust"),
        "dividends": subnet.get("Dividends"),
    }
    no_axon = call.view.runtime.neutral(_axon_type(call.view))
    return [
        {
            "hotkey": neuron.hotkey,
            "coldkey": neuron.coldkey,
            "uid": neuron.uid,
            "netuid": subnet.netuid,
            "active": neuron.active,
            "axon_info": neuron.axon or no_axon,
            "stake": [(neuron.coldkey, neuron.stake)],
            "last_update": neuron.last_update,
            "validator_permit": neuron.permit,
            "pruning_score": DEPRECATED_SCORE,
            **{name: values[neuron.uid] for name, values in columns.items()},
        }
        for neuron in subnet.neurons()
    ]


def _neuron(call: RuntimeCall, fields: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    runtime = call.view.runtime
    return runtime.record(runtime.inner_type(call.output), **fields, **more)


def _positive(subnet: Subnet, item: str, uid: int) -> list[tuple[int, int]]:
    return [(target, value) for target, value in subnet.row(item, uid).items() if value]


@provides("SubnetInfoRuntimeApi_get_subnet_hyperparams_v3")
def hyperparameters_v3(call: RuntimeCall) -> list[dict[str, Any]] | None:
    """Return the subnet's hyperparameters by name."""
    subnet = call.subnet()
    if not subnet.exists:
        return None
    named = {name: (WIDTHS.get(name, "U64"), subnet.get(item)) for name, item in HYPERPARAMETERS.items()}
    named |= {"activity_cutoff": ("U64", subnet.activity_cutoff()), "yuma_version": ("U16", YUMA_VERSION)}
    return [{"name": list(name.encode()), "value": {kind: value}} for name, (kind, value) in named.items()]


@provides("SubnetInfoRuntimeApi_get_subnet_hyperparams")
@provides("SubnetInfoRuntimeApi_get_subnet_hyperparams_v2")
def hyperparameters(call: RuntimeCall) -> dict[str, Any] | None:
    """Return the subnet's hyperparameters as the record of the first or second version."""
    subnet, runtime = call.subnet(), call.view.runtime
    if not subnet.exists:
        return None
    low, high = subnet.get("AlphaValues")
    more: dict[str, Any] = {"activity_cutoff": subnet.activity_cutoff(), "alpha_low": low, "alpha_high": high}
    if call.name.endswith("_v2"):
        more |= {"yuma_version": YUMA_VERSION, "subnet_is_active": True, "transfers_enabled": True}
    stored = {name: subnet.get(item) for name, item in HYPERPARAMETERS.items()}
    return runtime.record(runtime.inner_type(call.output), **stored, **more)


@provides("SubnetInfoRuntimeApi_get_next_epoch_start_block")
def next_epoch_start_block(call: RuntimeCall) -> int | None:
    """Return the block of the next epoch."""
    subnet = call.subnet()
    return subnet.next_epoch() if subnet.exists else None


def _padded(values: Sequence[int], size: int) -> list[int]:
    """Return a list by uid of a mechanism, which is shorter if the mechanism was added later."""
    return [*values, *[0] * (size - len(values))]


def _axon_type(view: View) -> int:
    return type_id(view.runtime.core.storage_entry(PALLET, "Axons").value_type)
