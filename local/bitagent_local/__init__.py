"""A local world for bitagent: what the product needs around it, on one machine, with faults that a test can switch on.

Folders: `cluster` (a real one-node Kubernetes), `images` (building and pushing), `chain` (a simulated subtensor), `hub`
(the endpoints of a model hub), `models` (tiny trained models) and `demo` (the product in this world, for `make demo`).
A distribution of its own: it never imports the product, the product never imports it, and none of it runs in
production. `cluster` and most of `demo` need only the standard library, since they run before any environment exists.
"""
