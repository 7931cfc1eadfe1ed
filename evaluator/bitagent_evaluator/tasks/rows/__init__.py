"""How one row of data becomes a task: a file per row format behind the registry in `reader`.

`task` reads lines of tasks.jsonl, `glaive` and `bitagent` the chats of those two datasets, `columns` whatever the spec names. They share
`functions` (descriptions into BFCL's form), `calls` (plain calls into ground truth), `checks` (what the scorer will need) and `usable`
(the last gate: the ground truth must pass the official checker). Where rows come from is `bitagent_evaluator.tasks.data` and the sources.
"""
