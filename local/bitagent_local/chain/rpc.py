"""JSON-RPC methods of a substrate node with one answer each; subscriptions are in `server`.

Error codes are substrate's: 1010 to 1014 for an extrinsic that the pool refuses, 4003 for unavailable state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Registers the runtime calls about subnets.
from bitagent_local.chain import (
    metadata,
    runtime_api,
    runtime_subnets,  # noqa: F401
)
from bitagent_local.chain.blocks import PrunedState, UnknownBlock
from bitagent_local.chain.extrinsics import (
    ALREADY_IMPORTED,
    INVALID_TRANSACTION,
    PRIORITY_TOO_LOW,
    TEMPORARILY_BANNED,
    InvalidExtrinsic,
)
from bitagent_local.chain.peer import Peer
from bitagent_local.chain.scale import from_hex, to_hex
from bitagent_local.chain.seed import rao

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
CLIENT_ERROR = 4003


SUBSCRIPTIONS = (
    "author_submitAndWatchExtrinsic",
    "author_unwatchExtrinsic",
    "chain_subscribeAllHeads",
    "chain_subscribeFinalizedHeads",
    "chain_subscribeNewHead",
    "chain_subscribeNewHeads",
    "chain_unsubscribeAllHeads",
    "chain_unsubscribeFinalizedHeads",
    "chain_unsubscribeNewHead",
    "chain_unsubscribeNewHeads",
)
"""Methods that an endpoint answers by itself."""


class RpcError(Exception):
    """An error answer."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return the answer's ``error`` member."""
        return {"code": self.code, "message": self.message} | ({"data": self.data} if self.data else {})


Params = list[Any]
Method = Callable[[Peer, Params], Any]
METHODS: dict[str, Method] = {}


def provides(*names: str) -> Callable[[Method], Method]:
    """Register a method under its names."""

    def register(method: Method) -> Method:
        METHODS.update(dict.fromkeys(names, method))
        return method

    return register


def call(node: Peer, name: str, params: Params) -> Any:
    """Answer one request. Raises RpcError if the method is unknown, its parameters are bad, or it refuses them."""
    if name not in METHODS:
        raise RpcError(METHOD_NOT_FOUND, f"Method not found: {name}")
    try:
        return METHODS[name](node, params)
    except InvalidExtrinsic as error:
        raise _refusal(error) from error
    except UnknownBlock as error:
        raise RpcError(
            CLIENT_ERROR, f"Client error: UnknownBlock: Header was not found in the database: {error}"
        ) from error
    except PrunedState as error:
        raise RpcError(CLIENT_ERROR, f"Client error: UnknownBlock: State already discarded for {error}") from error
    except runtime_api.UnknownRuntimeCall as error:
        message = f"Client error: Execution failed: Other: Exported method {error} is not found"
        raise RpcError(CLIENT_ERROR, message) from error
    except (ValueError, TypeError, IndexError) as error:
        raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error


REFUSALS = {
    INVALID_TRANSACTION: "Invalid Transaction",
    TEMPORARILY_BANNED: "Transaction is temporarily banned",
    ALREADY_IMPORTED: "Transaction is already imported",
    PRIORITY_TOO_LOW: "Priority is too low: (0 vs 0)",
}
"""Messages of a node for the codes with which its pool refuses."""


def _refusal(error: InvalidExtrinsic) -> RpcError:
    message, text = REFUSALS[error.code], str(error)
    return RpcError(error.code, message, text if text != message else None)


def _optional(params: Params, index: int) -> bytes | None:
    """Return a hexadecimal parameter, None if it is absent; an absent block hash means the head."""
    value = params[index] if len(params) > index else None
    return None if value is None else from_hex(value)


@provides("chain_getFinalizedHead")
def finalized_head(node: Peer, params: Params) -> str:
    """Return the hash of the newest final block."""
    return to_hex(node.finalized.hash)


@provides("chain_getBlockHash", "chain_getHead")
def block_hash(node: Peer, params: Params) -> str | None:
    """Return the hash of a numbered block, or of the head."""
    number = params[0] if params else None
    block = node.head if number is None else node.numbered(int(number))
    return None if block is None else to_hex(block.hash)


@provides("chain_getHeader")
def header(node: Peer, params: Params) -> dict[str, Any]:
    """Return a block's header."""
    return node.find(_optional(params, 0)).header()


@provides("chain_getBlock")
def block(node: Peer, params: Params) -> dict[str, Any]:
    """Return a block with its extrinsics."""
    found = node.find(_optional(params, 0))
    body = [to_hex(extrinsic) for extrinsic in found.extrinsics]
    return {"block": {"header": found.header(), "extrinsics": body}, "justifications": None}


@provides("state_getRuntimeVersion")
def version(node: Peer, params: Params) -> dict[str, Any]:
    """Return the runtime's versions. They are part of the state: a pruned block has none."""
    runtime = node.state(_optional(params, 0)).runtime
    return {
        "specName": "node-subtensor",
        "implName": "node-subtensor",
        "authoringVersion": 1,
        "specVersion": runtime.spec_version,
        "implVersion": 1,
        "apis": [],
        "transactionVersion": metadata.TRANSACTION_VERSION,
        "stateVersion": 1,
    }


@provides("state_call")
def state_call(node: Peer, params: Params) -> str:
    """Answer a runtime call at a block."""
    at = _optional(params, 2)
    requested = runtime_api.RuntimeCall(
        view=node.state(at),
        block=node.find(at).number,
        subnet_name=node.chain.seed.name,
        fee=rao(node.chain.seed.fee),
        name=str(params[0]),
        params=from_hex(params[1]),
    )
    return to_hex(runtime_api.answer(requested))


@provides("state_getStorage", "state_getStorageAt")
def storage(node: Peer, params: Params) -> str | None:
    """Return one stored value at a block."""
    value = node.state(_optional(params, 1)).raw(from_hex(params[0]))
    return None if value is None else to_hex(value)


@provides("state_queryStorageAt")
def storage_many(node: Peer, params: Params) -> list[dict[str, Any]]:
    """Return many stored values at one block."""
    at = _optional(params, 1)
    state = node.state(at)
    values = [(key, state.raw(from_hex(key))) for key in params[0]]
    changes = [[key, None if value is None else to_hex(value)] for key, value in values]
    return [{"block": to_hex(node.find(at).hash), "changes": changes}]


@provides("state_getKeysPaged")
def keys_paged(node: Peer, params: Params) -> list[str]:
    """Return a page of the keys of a map."""
    prefix, count = from_hex(params[0]), int(params[1])
    after = _optional(params, 2) or b""
    keys = node.state(_optional(params, 3)).keys(prefix=prefix, after=after, count=count)
    return [to_hex(key) for key in keys]


@provides("account_nextIndex", "system_accountNextIndex")
def next_index(node: Peer, params: Params) -> int:
    """Return the nonce that an account must use next."""
    return node.chain.next_nonce(str(params[0]))


@provides("rpc_methods")
def methods(node: Peer, params: Params) -> dict[str, list[str]]:
    """Return the names of all methods, those of subscriptions included."""
    return {"methods": sorted([*METHODS, *SUBSCRIPTIONS])}


@provides("system_health")
def health(node: Peer, params: Params) -> dict[str, Any]:
    """Report a node in sync without peers."""
    return {"peers": 0, "isSyncing": False, "shouldHavePeers": False}


@provides("author_submitExtrinsic")
def submit(node: Peer, params: Params) -> str:
    """Submit an extrinsic without watching it."""
    return to_hex(node.submit(from_hex(params[0])).hash)
