"""Run code on untrusted input in a child process with limits of time, memory, files and processes.

    protocol   limits, frames between parent and child, and the interface of a worker
    child      the child: one worker that answers requests until the pipe closes
    process    the parent: `Sandbox`, one child, and `ResidentSandbox`, which starts another after one that ended

Model files, tokenizers, chat templates, answers and the calls in them are parsed or executed in workers only. The
workers live with their subjects (`models/validation`, `prompts`, `scoring`, `evaluation`); nothing here knows about
models.
"""
