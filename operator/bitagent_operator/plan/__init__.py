"""Decisions, as pure functions over observed objects: no I/O, no clock (`Pass.now` is an argument), no framework.

interface.py      what plans are given and what they return
job_outcome.py    a Job and its pods -> one outcome
waits.py          a Job of which no container runs
pods.py           one pod: why it makes no progress
model.py          a MinerModel: fetch Jobs, conditions, scores
fetch.py          the last fetch, and the next one that is needed
fetch_step.py     the last fetch Job -> the state of the files, and its conditions
fetch_slots.py    whose fetch may start
hub.py            troubles of the hub, and the pause for all fetches
resolution.py     what a branch stands for when a round fixes its models
selectors.py      whose rules judge a model, before its files are fetched
cache_room.py     what a fetch may remove from the model cache
model_volumes.py  volumes of single models, which of them give way, with volume_step.py (the one that a fetch needs)
round.py          an EvalRound; it names the modules of its steps
round_start.py    the wait for models, and the frozen set
admission.py      which models take part
task_set.py       the wait for the seed, and the task set
evaluations.py    the Jobs of a round, by identity, with work.py (one pass over them) and settlement.py
holders.py        what holds GPUs, and which Jobs must let go of them
round_status.py   counts and conditions, with leaderboard.py, status_size.py and round_events.py
round_end.py      how a round completes, fails, or reaches its own bound
retry.py          what is done again, with Jobs of other names
identity.py       what is evaluated of a model, frozen at its admission
seniority.py      which of several models was first
copies.py         near copies among the models of a round
disruptions.py    evictions, preemptions and lost nodes of one evaluation, and their bound
attempts.py       one evaluation: its Jobs -> its state
attribution.py    whose trouble a failed evaluation is: the model's own, or the infrastructure's
fetch_controls.py  whose trouble a fetch is that gave up: a model is fetched again
validator.py      the pod of a Validator
readiness.py      Ready and Stalled, from the other conditions
"""
