"""The validator: the one holder of a hotkey. It follows the chain, starts rounds, and turns their scores into weights.

A pass of the loop observes (chain, API server), decides (pure functions over plain data) and acts; any pass may be
repeated, killed in the middle, or run late, and the next one goes on from what it sees.

    chain/     the only code that talks to the chain, and the facts that the rest decides on
    wallet     the hotkey file
    epochs     blocks to epochs
    rounds     which EvalRounds to create and delete
    scores     what a complete round is worth, by hotkey
    policy/    scores to shares, one module a policy
    weights/   shares to a weight row; when to submit it; the submission's parent side
    submit     the submission itself, a process of its own
    state      what must outlive this pod, in one ConfigMap
    lease      one pod at a time for a hotkey on a subnet
    kube, mirror, seen   the API server: requests, list and watch, its objects as our own data
    competitions, payer  acting on rounds and on weights
    status, recorder, metrics, health   what people and machines see
    loop, run  the pass, and the process around it

What does not live here: models, tasks and Jobs (they are the evaluator's and the operator's), and any coldkey.
"""
