"""Builders of the objects that the operator creates: Jobs, and a validator's Deployment and rights. Pure.

job.py          parts that all pods share; the frame of a Job
fetch.py        the fetch Job of a MinerModel
task_set.py     the task-set Job of an EvalRound, with the network and Secrets that its spec names
evaluate.py     the evaluation Job of one set of weights; pack.py: that of several with one engine
validator.py    ServiceAccount, Role, RoleBinding and Deployment of a Validator
rbac.py         rules of a validator's Role, and of the operator's own
"""
