"""The validator: the one process that holds a hotkey. It follows the chain, starts rounds and sets weights.

A pass of the loop observes the chain and the API server, decides by pure functions over plain data, and acts. Any pass
may be repeated, killed half-way or delayed: the next one continues from what it observes. From top to bottom:

    main         the process: command line, start, end
    loop         one pass, and when it runs
    doctor       what keeps a Validator from setting weights, for people
    explain      what each hotkey would earn now, and what was set, for people
    standby      what a process reports that waits for another Validator of the same hotkey
    setter       weights: compare with the chain, submit
    computed     weights: from all competitions to one row, and why it is held
    turns        one transaction of the hotkey at a time
    troubles     parts of a pass fail apart
    competition  rounds: record scores, create, delete
    seeding      seeds of rounds: commit, publish; claims to a commitment
    services     the API server and the records of one Validator
    status       the Validator's status
    leaderboards signed leaderboards of complete rounds
    rounds       epochs, which EvalRounds to create, give their seed and delete
    claims       commit blocks of models, compared with the chain
    seed_secrets secrets of seeds
    scores       from a complete round to what it says about each hotkey
    weights/     shares to weights; whether to submit them; one submission in a process of its own
    policy/      scores to shares, and why a hotkey earns nothing
    chain/       the only code that reads the chain
    state        what outlives this pod: results of rounds, and rows of weights
    objects      the API server's objects as plain data
    wallet, metrics

Requests to the API server, Events, the Lease, probes and logging are in `bitagent_kube`. Models, tasks and Jobs belong
to the evaluator and the operator. No coldkey is ever read.
"""
