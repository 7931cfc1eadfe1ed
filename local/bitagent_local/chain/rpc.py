"""JSON-RPC methods of a substrate node with one answer each; subscriptions are in `server`.

Error codes are substrate's: 1010 for an extrinsic that the pool refuses, 4003 for unavailable state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bitagent_local.chain import runtime_api
from bitagent_local.chain.blocks import PrunedState, UnknownBlock
from bitagent_local.chain.extrinsics import InvalidExtrinsic
from bitagent_local.chain.node import ChainNode, runtime_version
from bitagent_local.chain.scale import from_hex, to_hex

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INVALID_TRANSACTION = 1010
CLIENT_ERROR = 4003


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
Method = Callable[[ChainNode, Params], Any]
METHODS: dict[str, Method] = {}


def provides(*names: str) -> Callable[[Method], Method]:
    """Register a method under its names."""

    def register(method: Method) -> Method:
        METHODS.update(dict.fromkeys(names, method))
        return method

    return register


def call(node: ChainNode, name: str, params: Params) -> Any:
    """Answer one request. Raises RpcError if the method is unknown, its parameters are bad, or it refuses them."""
    if name not in METHODS:
        raise RpcError(METHOD_NOT_FOUND, f"Method not found: {name}")
    try:
        return METHODS[name](node, params)
    except InvalidExtrinsic as error:
        raise RpcError(INVALID_TRANSACTION, "Invalid Transaction", str(error)) from error
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


def _optional(params: Params, index: int) -> bytes | None:
    """Return a hexadecimal parameter, None if it is absent; an absent block hash means the head."""
    value = params[index] if len(params) > index else None
    return None if value is None else from_hex(value)


@provides("chain_getFinalizedHead")
def finalized_head(node: ChainNode, params: Params) -> str:
    """Return the hash of the newest final block."""
    return to_hex(node.finalized.hash)


@provides("chain_getBlockHash", "chain_getHead")
def block_hash(node: ChainNode, params: Params) -> str | None:
    """Return the hash of a numbered block, or of the head."""
    number = params[0] if params else None
    block = node.blocks.head if number is None else node.blocks.numbered(int(number))
    return None if block is None else to_hex(block.hash)


@provides("chain_getHeader")
def header(node: ChainNode, params: Params) -> dict[str, Any]:
    """Return a block's header."""
    return node.blocks.find(_optional(params, 0)).header()


@provides("chain_getBlock")
def block(node: ChainNode, params: Params) -> dict[str, Any]:
    """Return a block with its extrinsics."""
    found = node.blocks.find(_optional(params, 0))
    body = [to_hex(extrinsic) for extrinsic in found.extrinsics]
    return {"block": {"header": found.header(), "extrinsics": body}, "justifications": None}


@provides("state_getRuntimeVersion")
def version(node: ChainNode, params: Params) -> dict[str, Any]:
    """Return the runtime's versions, which never change. They are part of the state: a pruned block has none."""
    node.blocks.state(_optional(params, 0))
    return runtime_version()


@provides("state_call")
def state_call(node: ChainNode, params: Params) -> str:
    """Answer a runtime call at a block."""
    at = _optional(params, 2)
    requested = runtime_api.RuntimeCall(
        view=node.blocks.state(at),
        block=node.blocks.find(at).number,
        subnet_name=node.seed.name,
        name=str(params[0]),
        params=from_hex(params[1]),
    )
    return to_hex(runtime_api.answer(requested))


@provides("state_getStorage", "state_getStorageAt")
def storage(node: ChainNode, params: Params) -> str | None:
    """Return one stored value at a block."""
    value = node.blocks.state(_optional(params, 1)).raw(from_hex(params[0]))
    return None if value is None else to_hex(value)


@provides("state_queryStorageAt")
def storage_many(node: ChainNode, params: Params) -> list[dict[str, Any]]:
    """Return many stored values at one block."""
    at = _optional(params, 1)
    state = node.blocks.state(at)
    values = [(key, state.raw(from_hex(key))) for key in params[0]]
    changes = [[key, None if value is None else to_hex(value)] for key, value in values]
    return [{"block": to_hex(node.blocks.find(at).hash), "changes": changes}]


@provides("state_getKeysPaged")
def keys_paged(node: ChainNode, params: Params) -> list[str]:
    """Return a page of the keys of a map."""
    prefix, count = from_hex(params[0]), int(params[1])
    after = _optional(params, 2) or b""
    keys = node.blocks.state(_optional(params, 3)).keys(prefix=prefix, after=after, count=count)
    return [to_hex(key) for key in keys]


@provides("account_nextIndex", "system_accountNextIndex")
def next_index(node: ChainNode, params: Params) -> int:
    """Return the nonce that an account must use next."""
    return node.next_nonce(str(params[0]))


@provides("system_health")
def health(node: ChainNode, params: Params) -> dict[str, Any]:
    """Report a node in sync without peers."""
    return {"peers": 0, "isSyncing": False, "shouldHavePeers": False}


@provides("author_submitExtrinsic")
def submit(node: ChainNode, params: Params) -> str:
    """Submit an extrinsic without watching it."""
    return to_hex(node.submit(from_hex(params[0])).hash)
