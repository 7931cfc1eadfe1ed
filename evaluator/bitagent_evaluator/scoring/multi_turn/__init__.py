"""Conversations: calls act on simulated systems, and after each turn the systems must be in the right state.

    calls       an answer's text -> the calls that the leaderboard would execute, as source
    systems     one set of official systems, and the execution of one such call on it (never Python's own `eval`)
    checking    the official verdict over all turns
    worker      both behind a pipe, in a bounded child: what strangers call may compute for ever
    simulation  the near side of that pipe
    judgement   from a response to a verdict

Systems, state comparison and response comparison are those of the installed bfcl-eval package. How a conversation is led is
`bitagent_evaluator.runs.asking.conversations`.
"""
