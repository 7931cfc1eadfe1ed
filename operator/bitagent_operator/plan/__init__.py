"""Decisions, as pure functions over observed objects: no I/O, no clock (`Pass.now` is an argument), no framework.

interface    what plans return
inputs       what they are given
rounds       an EvalRound, from the wait for its models to its end; `round` names the steps
models       a MinerModel: which fetch it needs, and what its files are
validators   a Validator's pod and rewriter
jobs         a Job and its pods: one outcome, or what it waits for
files        the archive of rounds, what is removed when, and the room of the model cache
identity     what is evaluated of a model, frozen at its admission
outcomes     the ends of Jobs that belong to no step
readiness    Ready and Stalled, from the other conditions
shares       slots that the rounds of a namespace share
"""
