"""The `bitagent-eval` command: one module per verb, a thin edge over the library.

    app             the verbs; check, compare, job, report, reproduce, run, score and tasks are one module each
    run_endpoint    `run --endpoint`; run_several: several models in one run; run_options: what all runs share
    task_view       task sets on the terminal; task_spec: the spec of a task set from flags
    console         tables and progress on the terminal
    process         JSON on stdout, failures and log lines on stderr, the end of the process; no terminal library

Nothing that a user of the library would miss is decided here.
"""
