"""The evaluator: tasks in, scores out. A library, a command line and a container.

    cli                     the `bitagent-eval` command
    jobs                    handlers of the operator's Jobs
    archive                 a finished round's files into S3-compatible storage
    reports                 comparisons and the HTML report
    evaluation, conformance a run from files to files; scorers against reference verdicts
    tasks                   task sets: sources, row formats, sampling, files
    alterations             changes of drawn tasks
    prompts, engines        a task to token ids; token ids to answers
    models, scoring         a model's files: fetched and validated; verdicts and scores
    parsing                 an answer's text to calls
    chat_templates          rendering and audit of chat templates
    sandbox                 child processes with limits, for untrusted input
    support                 helpers without knowledge of evaluation

Imports go down this list only. Nothing here depends on Kubernetes or a chain: it shares only a Job's document and
summary (`bitagent_crds.jobs`) with the operator.
"""
