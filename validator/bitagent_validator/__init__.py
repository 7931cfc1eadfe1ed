"""The validator: the one process that holds a hotkey. It follows the chain, starts rounds and sets weights.

A pass of the loop observes the chain and the API server, decides by pure functions over plain data, and acts. Any pass
may be repeated, killed half-way or delayed: the next one continues from what it observes. From top to bottom:

    main          the process: command line, start, end
    explanation/  what each hotkey would earn, and what keeps a Validator from setting weights, for people
    running/      one pass, and when it runs; the status
    weights/      shares to a row, whether to submit it now, and its way onto the chain
    competitions/ rounds of a competition, from their epochs and seeds to scores
    discovery/    MinerModels from the subnet's commitments and the miners' axons
    online/       fresh tasks for miners, and averages of their scores
    tracking/     steps of it for a service that people look at
    policy/       scores to shares, and why a hotkey earns nothing
    services      the API server and the records of one Validator
    troubles      parts of a pass fail apart
    state/        what outlives this pod: results of rounds, and rows of weights
    questions     signed questions to many miners at once
    chain/        the only code that reads the chain
    objects       the API server's objects as plain data
    wallet, metrics

Requests to the API server, Events, the Lease, probes and logging are in `bitagent_kube`. Models, tasks and Jobs belong
to the evaluator and the operator. No coldkey is ever read.
"""
