"""The operator: watches MinerModels, EvalRounds and Validators, and creates Jobs and Deployments for them.

Layers, top to bottom; a module imports only from layers below its own:

    __main__.py     the process: configuration, clients, probes, signals
    term.py         the queue, its workers and its Events, while this process acts
    explain.py, rehearsal.py    what the next pass over an object would do, and why, without writing
    leadership.py   one process of a namespace acts
    watch.py        watches and full lists: objects go to the cache, the keys that they concern to the queue
    reconcile.py    takes one key: plans, carries out the plan, writes the status
    validators.py   the same for a Validator
    rewriters.py    its rewriter: the model's fetch, and the pods that serve it
    apply.py        applies those of its objects that have changed
    kopf_watch.py   kopf as the watcher of one kind
    metrics.py, state_metrics.py, metrics_page.py    Prometheus metrics, and the page that lists them
    manifests/      pure functions that build Jobs, and a validator's objects
    fetch_queue.py  the fetches that wait for a slot or for the hub
    object_events.py    the newest Event about what makes no progress
    plan/           pure functions: observed objects in, a plan and a status out; all decisions are here
    applied.py      what was applied and read for Validators, so that nothing is repeated
    cache.py        observed objects by kind, and the keys that each concerns
    objects.py      observed objects as frozen data: only what decisions need
    queue.py        a key is worked on once at a time; failures back off
    config.py, naming.py

No state is kept outside the API server: if the operator is killed anywhere and started again, the result is the same.
It does not know the chain, wallets or the hub, and parses nothing that a miner wrote. All requests go through
`bitagent_kube.client`.
"""
