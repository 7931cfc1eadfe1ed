"""A simulated subtensor: one subnet of a chain that the unmodified bittensor SDK can use.

From the bytes up: ``scale`` (the few encodings written by hand), ``metadata`` (the runtime's description of itself,
from a file), ``runtime`` (types and keys by that metadata), ``storage`` (the key-value state), ``subnet`` (one netuid
in that state), ``pallets`` (the rules), ``seed`` and ``genesis`` (the first state), ``blocks``, ``extrinsics`` and
``pool`` (checks before a block), ``dispatch`` (effects of calls), ``node`` (all of these, advancing block by block,
without any I/O), ``peer`` (what one node of several knows), ``runtime_api`` and ``runtime_subnets`` (computed reads),
``rpc``, ``endpoint`` and ``server`` (JSON-RPC over websockets), ``faults`` and ``admin`` (what a test switches on and
changes), ``subnets`` (a whole subnet by one command). ``readback`` reads weights with the SDK.

README.md says which rules are the real chain's, and what is left out.
"""
