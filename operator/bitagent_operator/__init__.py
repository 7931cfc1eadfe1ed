"""The operator: watches MinerModels, EvalRounds and Validators, and launches Jobs and Deployments for them.

Layers, from the outside in:

    watch.py      kopf watches; every object seen goes to the store, and the keys it concerns go to the queue
    store.py      what was observed, as frozen data; forgets what it need not know
    queue.py      one key is worked on once at a time; failures back off
    reconcile/    takes one key: asks the planner, does what the plan says, writes the status
    plan/         pure functions: observed objects in, a plan and a status out; all decisions are here
    pods/         pure functions that build Jobs and the validator's objects
    api.py        the one module that talks to the API server

Nothing is remembered outside the API server: killed anywhere and started again, the operator comes to the same end. Knows no
chain, no wallet, no hub, and parses nothing that a miner wrote.
"""
