"""The operator: watches MinerModels, EvalRounds and Validators, and creates Jobs and Deployments for them.

Layers, top to bottom; a module imports only from layers below its own, and so do the modules inside a folder:

    __main__.py     the process: configuration, clients, probes, signals
    explanation/    what the next pass over an object would do, and why, without writing
    runtime/        the Lease, the work queue and its workers, while this process acts
    reconcilers/    takes one key: plans, carries out the plan, writes the status
    watches/        watches and full lists: objects go to the cache, the keys that they concern to the queue
    metrics/        Prometheus metrics, and the page that lists them
    manifests/      pure functions that build Jobs, and a validator's objects
    plan/           pure functions: observed objects in, a plan and a status out; all decisions are here
    observed/       observed objects as frozen data, only what decisions need, and the cache of them
    config.py, naming.py

No state is kept outside the API server: if the operator is killed anywhere and started again, the result is the same.
It does not know the chain, wallets or the hub, and parses nothing that a miner wrote. All requests go through
`bitagent_kube.client`.
"""
