"""One model on one task set, from files to files; what the command line and the Job both call.

`evaluate.evaluate` is the whole way; `journal` keeps the answers through kills and restarts; `results` writes the final files.
"""
