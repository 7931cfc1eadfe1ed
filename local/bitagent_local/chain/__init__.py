"""A simulated subtensor: one subnet of a chain that the unmodified bittensor SDK can use.

From the bytes up: ``scale`` (the few encodings written by hand), ``metadata`` (the runtime's description of itself,
from a file), ``runtime`` (types and keys by that metadata), ``storage`` (the key-value state), ``subnet`` (one netuid
in that state), ``blocks``, ``extrinsics`` (checks before the pool), ``dispatch`` (effects of calls), ``runtime_api``
(computed reads), ``node`` (all of these, advancing block by block, without any I/O), ``rpc`` and ``server`` (JSON-RPC
over a websocket), ``faults`` and ``admin`` (faults that a test switches on). ``readback`` reads weights with the SDK.

There are no consensus, emissions, fees, registration economics or drand. Weights are stored, never paid.
"""
