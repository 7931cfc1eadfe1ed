"""One model on one task set, from files to files; what the command line and the Job both call.

`evaluate.evaluate` is the whole way with an engine, `remote` (with `questions`) the one with an endpoint; `reproducing` takes it from a
manifest. `asking` puts tasks to the model, `journal` keeps the answers through kills and restarts, `readable` and `judging` make verdicts of
them, `finishing` ends a run; `results`, `summary` and `timeline` are its files.
"""
