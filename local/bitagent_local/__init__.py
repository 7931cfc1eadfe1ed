"""The world on one machine: what the operator needs around it, and what a test may break.

Rooms: `cluster` (a real one-node Kubernetes), `images` (building and pushing), `chain` (a simulated subtensor), `hub` (the endpoints
of a model hub), `models` (small trained models) and `demo` (the product in this world, as `make demo` shows it). Nothing in here runs in
production, and nothing of the product imports it. `cluster` and most of `demo` need only the standard library, since they run before any
environment exists.
"""
