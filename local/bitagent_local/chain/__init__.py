"""A simulated subtensor: one subnet of a chain that the unmodified bittensor SDK takes for a real one.

What lives here, from the bytes up: ``scale`` (the few encodings we write ourselves), ``metadata`` (the runtime's own
description of itself, from a file), ``runtime`` (types and keys by that metadata), ``storage`` (the key-value state),
``subnet`` (what one netuid means in that state), ``blocks``, ``extrinsics`` (who may enter the pool), ``dispatch``
(what a call does), ``runtime_api`` (what a read computes), ``node`` (all of these, advancing block by block, without
any I/O), ``rpc`` and ``server`` (JSON-RPC over a websocket), ``faults`` and ``admin`` (what a test may break).

What does not live here: consensus, emissions, fees, registration economics and drand. Weights are stored, never paid.
"""
