"""Effects of calls on the state: the few calls that validators and miners sign with a hotkey, by the pallet's rules.

A handler checks first and writes last, so a refused call leaves only its ``ExtrinsicFailed`` event. The order of the
checks is the pallet's, because it decides which error a client sees. Calls without a handler are refused as filtered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain.extrinsics import Call
from bitagent_local.chain.scale import blake2_256, from_hex, to_hex
from bitagent_local.chain.storage import Storage
from bitagent_local.chain.subnet import PALLET, MutableSubnet


class DispatchError(Exception):
    """A pallet's error, by its names in the metadata."""

    def __init__(self, pallet: str, name: str) -> None:
        super().__init__(f"{pallet}.{name}")
        self.pallet = pallet
        self.name = name


@dataclass(frozen=True)
class Event:
    """An event that a call deposits in its block."""

    pallet: str
    name: str
    attributes: Any


@dataclass(frozen=True)
class Origin:
    """The signer of a call, and the block that it runs in."""

    storage: Storage
    signer: str
    block: int


Handler = Callable[[Origin, dict[str, Any]], list[Event]]
HANDLERS: dict[tuple[str, str], Handler] = {}


def handles(pallet: str, function: str) -> Callable[[Handler], Handler]:
    """Register the handler of a call."""

    def register(handler: Handler) -> Handler:
        HANDLERS[(pallet, function)] = handler
        return handler

    return register


def dispatch(origin: Origin, call: Call) -> list[Event]:
    """Run a call. Raises DispatchError if it is refused; the state is unchanged then."""
    handler = HANDLERS.get((call.pallet, call.function))
    if handler is None:
        raise DispatchError("System", "CallFiltered")
    return handler(origin, call.args)


@handles(PALLET, "set_weights")
@handles(PALLET, "set_mechanism_weights")
def set_weights(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Set weights without commit-reveal."""
    subnet = _existing_subnet(origin, args)
    if subnet.get("CommitRevealWeightsEnabled"):
        raise DispatchError(PALLET, "CommitRevealEnabled")
    targets, values = [int(uid) for uid in args["dests"]], [int(value) for value in args["weights"]]
    if len(targets) != len(values):
        raise DispatchError(PALLET, "WeightVecNotEqualSize")
    if len(targets) > subnet.size:
        raise DispatchError(PALLET, "UidsLengthExceedUidsInSubNet")
    uid = _registered(subnet, origin.signer)
    _enough_stake(origin, subnet)
    if int(args["version_key"]) < int(subnet.get("WeightsVersionKey")):
        raise DispatchError(PALLET, "IncorrectWeightVersionKey")
    _rate_limit(subnet, uid, origin.block, error="SettingWeightsTooFast")
    only_itself = targets == [uid]
    if not only_itself and not subnet.get("ValidatorPermit")[uid]:
        raise DispatchError(PALLET, "NeuronNoValidatorPermit")
    if len(set(targets)) != len(targets):
        raise DispatchError(PALLET, "DuplicateUids")
    if any(target >= subnet.size for target in targets):
        raise DispatchError(PALLET, "UidVecContainInvalidOne")
    if not any(values) or (not only_itself and len(targets) < int(subnet.get("MinAllowedWeights"))):
        raise DispatchError(PALLET, "WeightVecLengthIsLow")
    if not only_itself and max(values) * 65535 > sum(values) * int(subnet.get("MaxWeightsLimit")):
        raise DispatchError(PALLET, "MaxWeightExceeded")
    subnet.set_weights(uid, dict(zip(targets, values, strict=True)), block=origin.block)
    return [Event(PALLET, "WeightsSet", (subnet.netuid, uid))]


@handles(PALLET, "commit_timelocked_mechanism_weights")
def commit_weights(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Queue weights that are sealed until a drand round; they are never revealed here."""
    subnet = _existing_subnet(origin, args)
    if not subnet.get("CommitRevealWeightsEnabled"):
        raise DispatchError(PALLET, "CommitRevealDisabled")
    uid = _registered(subnet, origin.signer)
    _rate_limit(subnet, uid, origin.block, error="CommittingWeightsTooFast")
    commit, reveal_round = args["commit"], int(args["reveal_round"])
    subnet.seal_weights(uid, commit, reveal_round, block=origin.block)
    content = from_hex(commit) if isinstance(commit, str) else bytes(commit)
    attributes = (origin.signer, subnet.netuid, to_hex(blake2_256(content)), reveal_round)
    return [Event(PALLET, "TimelockedWeightsCommitted", attributes)]


@handles(PALLET, "serve_axon")
def serve_axon(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Publish the endpoint of a hotkey."""
    subnet = MutableSubnet(origin.storage, int(args["netuid"]))
    if subnet.uid(origin.signer) is None:
        raise DispatchError(PALLET, "HotKeyNotRegisteredInNetwork")
    if int(args["ip_type"]) not in (4, 6):
        raise DispatchError(PALLET, "InvalidIpType")
    fields = ("version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2")
    subnet.serve(origin.signer, {name: args[name] for name in fields}, block=origin.block)
    return [Event(PALLET, "AxonServed", (subnet.netuid, origin.signer))]


@handles("Commitments", "set_commitment")
def set_commitment(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Publish up to three fields of data in place of the last ones."""
    subnet = MutableSubnet(origin.storage, int(args["netuid"]))
    if subnet.uid(origin.signer) is None:
        raise DispatchError("Commitments", "AccountNotAllowedCommit")
    subnet.commit(origin.signer, args["info"], block=origin.block)
    return [Event("Commitments", "Commitment", {"netuid": subnet.netuid, "who": origin.signer})]


def _existing_subnet(origin: Origin, args: dict[str, Any]) -> MutableSubnet:
    """Return the subnet that a weights call names; it has one mechanism."""
    subnet = MutableSubnet(origin.storage, int(args["netuid"]))
    if not subnet.exists or int(args.get("mecid", 0)) != 0:
        raise DispatchError(PALLET, "MechanismDoesNotExist")
    return subnet


def _registered(subnet: MutableSubnet, hotkey: str) -> int:
    uid = subnet.uid(hotkey)
    if uid is None:
        raise DispatchError(PALLET, "HotKeyNotRegisteredInSubNet")
    return uid


def _enough_stake(origin: Origin, subnet: MutableSubnet) -> None:
    if subnet.stake(origin.signer) < int(origin.storage.get(PALLET, "StakeThreshold")):
        raise DispatchError(PALLET, "NotEnoughStakeToSetWeights")


def _rate_limit(subnet: MutableSubnet, uid: int, block: int, *, error: str) -> None:
    """Check the rate limit; a hotkey that has not set weights since the genesis (last update 0) need not wait."""
    last = int(subnet.get("LastUpdate")[uid])
    if last and block - last < int(subnet.get("WeightsSetRateLimit")):
        raise DispatchError(PALLET, error)
