"""Plain weights: the check list of a row, which is also that of a revealed one, and the calls that set it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitagent_local.chain.pallets.registry import Candidate, DispatchError, Event, Origin, guards, handles
from bitagent_local.chain.subnet import PALLET, MutableSubnet, Subnet, storage_index

U16 = 65535


@guards(PALLET, "set_weights", "set_mechanism_weights")
def weights_guard(candidate: Candidate, args: dict[str, Any]) -> None:
    """Refuse a setting of a hotkey without stake, or too soon after the last one."""
    subnet = Subnet(candidate.view, int(args["netuid"]))
    enough_stake(subnet, candidate.signer)
    if not subnet.get("CommitRevealWeightsEnabled"):
        rate_limit_guard(subnet, candidate, mechanism=mechanism_of(args), error="SettingWeightsTooFast")


@handles(PALLET, "set_weights")
@handles(PALLET, "set_mechanism_weights")
def set_weights(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Set weights without commit-reveal."""
    netuid, mechanism = int(args["netuid"]), mechanism_of(args)
    if Subnet(origin.storage, netuid).get("CommitRevealWeightsEnabled"):
        raise DispatchError(PALLET, "CommitRevealEnabled")
    return apply_row(
        origin,
        netuid=netuid,
        mechanism=mechanism,
        targets=[int(uid) for uid in args["dests"]],
        values=[int(value) for value in args["weights"]],
        version_key=int(args["version_key"]),
    )


def apply_row(
    origin: Origin, *, netuid: int, mechanism: int, targets: Sequence[int], values: Sequence[int], version_key: int
) -> list[Event]:
    """Check a row in the pallet's order and store it. Raises DispatchError with the first rule that it breaks."""
    subnet = MutableSubnet(origin.storage, netuid)
    sealed = bool(subnet.get("CommitRevealWeightsEnabled"))
    if netuid == 0:
        raise DispatchError(PALLET, "CanNotSetRootNetworkWeights")
    if len(targets) != len(values):
        raise DispatchError(PALLET, "WeightVecNotEqualSize")
    existing_mechanism(subnet, mechanism)
    if len(targets) > subnet.size:
        raise DispatchError(PALLET, "UidsLengthExceedUidsInSubNet")
    uid = registered(subnet, origin.signer)
    enough_stake(subnet, origin.signer)
    if 0 < int(subnet.get("WeightsVersionKey")) > version_key:
        raise DispatchError(PALLET, "IncorrectWeightVersionKey")
    # A commit was held to the limit when it was made.
    if not sealed:
        rate_limit(subnet, uid, origin.block, mechanism=mechanism, error="SettingWeightsTooFast")
    row_rules(subnet, uid, targets, values)
    subnet.put_row("Weights", uid, dict(zip(targets, upscaled(values), strict=True)), mechanism=mechanism)
    if not sealed:
        subnet.updated(uid, origin.block, mechanism=mechanism)
    return [Event(PALLET, "WeightsSet", (storage_index(netuid, mechanism), uid))]


def row_rules(subnet: Subnet, uid: int, targets: Sequence[int], values: Sequence[int]) -> None:
    """Check the content of a row; a single weight for oneself is free of permit, length and maximum."""
    for_itself = list(targets) == [uid]
    if not for_itself and uid != subnet.owner_uid() and not subnet.get("ValidatorPermit")[uid]:
        raise DispatchError(PALLET, "NeuronNoValidatorPermit")
    if len(set(targets)) != len(targets):
        raise DispatchError(PALLET, "DuplicateUids")
    if any(target >= subnet.size for target in targets):
        raise DispatchError(PALLET, "UidVecContainInvalidOne")
    if not for_itself and len(values) < min(subnet.size, int(subnet.get("MinAllowedWeights"))):
        raise DispatchError(PALLET, "WeightVecLengthIsLow")
    limit, scaled = int(subnet.get("MaxWeightsLimit")), upscaled(values)
    if not for_itself and limit < U16 and max(scaled, default=0) * U16 > sum(scaled) * limit:
        raise DispatchError(PALLET, "MaxWeightExceeded")


def upscaled(values: Sequence[int]) -> list[int]:
    """Scale values so that the largest is 65535; zeros stay zeros."""
    largest = max(values, default=0)
    return [value * U16 // largest if largest else 0 for value in values]


def mechanism_of(args: dict[str, Any]) -> int:
    """Return the mechanism that a call names; the calls without one mean the first."""
    return int(args.get("mecid", 0))


def existing_mechanism(subnet: Subnet, mechanism: int) -> None:
    """Check that a subnet has a mechanism."""
    if not subnet.exists or mechanism >= subnet.mechanisms:
        raise DispatchError(PALLET, "MechanismDoesNotExist")


def registered(subnet: Subnet, hotkey: str) -> int:
    """Return a hotkey's uid. Raises DispatchError if it is not registered."""
    uid = subnet.uid(hotkey)
    if uid is None:
        raise DispatchError(PALLET, "HotKeyNotRegisteredInSubNet")
    return uid


def enough_stake(subnet: Subnet, hotkey: str) -> None:
    """Check a hotkey's stake against the chain's threshold; the subnet owner's hotkey needs none."""
    if hotkey == str(subnet.get("SubnetOwnerHotkey")):
        return
    if subnet.stake(hotkey) < int(subnet.view.get(PALLET, "StakeThreshold")):
        raise DispatchError(PALLET, "NotEnoughStakeToSetWeights")


def rate_limit(subnet: Subnet, uid: int, block: int, *, mechanism: int, error: str) -> None:
    """Check the rate limit of a mechanism; a hotkey whose last update is block 0 need not wait."""
    last = subnet.last_update(uid, mechanism=mechanism)
    if last and block - last < int(subnet.get("WeightsSetRateLimit")):
        raise DispatchError(PALLET, error)


def rate_limit_guard(subnet: Subnet, candidate: Candidate, *, mechanism: int, error: str) -> None:
    """Check the rate limit for the pool, which leaves a hotkey that is not registered to the call."""
    uid = subnet.uid(candidate.signer)
    if uid is not None:
        rate_limit(subnet, uid, candidate.block, mechanism=mechanism, error=error)
