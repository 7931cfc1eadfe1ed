"""The examiner: tasks for miners that a validator asks online, and verdicts on their answers.

    questions    a task as miners are asked it; which tasks can be asked; the form of a right answer
    pools        task sets on the artifact volume: checked by their digest, and the choice by a seed
    rows         which rows of the sources a task has: none of a round that runs is asked
    verdicts     answers to verdicts, in a sandbox for each scorer
    server       one line of JSON for a request and one for its reply, over a Unix socket

It runs in the validator's pod, in a container of its own (`bitagent-eval examiner`), and knows neither keys, chain nor
Kubernetes. Messages are in `bitagent_crds.examiner`. How a validator uses them is not here.
"""
