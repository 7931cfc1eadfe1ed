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
from bitagent_local.chain.subnet import Subnet


@dataclass(frozen=True)
class RuntimeCall:
    """A runtime call at a block."""

    view: View
    block: int
    subnet_name: str
    fee: int
    """Rao that each call costs."""
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

    def arguments(self) -> list[Any]:
        """Return the decoded arguments, in order; all but a list at the end have types of a fixed size.

        Raises ValueError if they do not decode.
        """
        runtime, rest, values = self.view.runtime, self.params, list[Any]()
        for _, argument_type in self._described["inputs"]:
            number = type_id(argument_type)
            of_any_size = "sequence" in runtime.types[number]["def"]
            size = len(rest) if of_any_size else len(runtime.encode(argument_type, runtime.neutral(number)))
            values.append(runtime.decode(argument_type, rest[:size]))
            rest = rest[size:]
        return values

    def subnet(self) -> Subnet:
        """Return the subnet that the first argument names."""
        return Subnet(self.view, int(self.arguments()[0]))


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


@provides("AccountNonceApi_account_nonce")
def account_nonce(call: RuntimeCall) -> int:
    """Return the nonce of an account in the state, without the pool."""
    return int(call.view.get("System", "Account", call.arguments()[0])["nonce"])


@provides("TransactionPaymentApi_query_info")
def payment_info(call: RuntimeCall) -> dict[str, Any]:
    """Return the fee of a call."""
    return {"weight": {"ref_time": 1000, "proof_size": 0}, "class": "Normal", "partial_fee": call.fee}


@provides("StakeInfoRuntimeApi_get_stake_info_for_hotkey_coldkey_netuid")
def stake_info(call: RuntimeCall) -> dict[str, Any] | None:
    """Return what a coldkey has staked with a hotkey: all of the hotkey's stake, if it is the owner."""
    hotkey, coldkey, netuid = call.arguments()
    subnet = Subnet(call.view, int(netuid))
    if not subnet.exists:
        return None
    uid = subnet.uid(str(hotkey))
    return call.view.runtime.record(
        call.view.runtime.inner_type(call.output),
        hotkey=hotkey,
        coldkey=coldkey,
        netuid=subnet.netuid,
        stake=subnet.stake(str(hotkey)) if subnet.coldkey(str(hotkey)) == coldkey else 0,
        emission=int(subnet.get("Emission")[uid]) if uid is not None else 0,
        is_registered=uid is not None,
    )
