"""The evaluator: tasks in, scores out. A library, a command line and a container.

    hub, safety, checks                 a model's files: fetched, judged, and explained to its owner
    tasks, alterations                  what is asked, drawn from sources and changed
    formats, rendering, engine          how a task becomes a prompt, and a prompt an answer
    endpoint                            models that others serve
    answers, scoring                    from an answer's text to calls, verdicts and scores
    runs, reports                       one model on one task set, and what its results mean
    jobs, cli                           what pods and people call
    bounded                             the child process for whatever strangers wrote

Nothing here knows Kubernetes or a chain: a Job's document and summary (`bitagent_crds.jobs`) are all it shares with the operator.
"""
