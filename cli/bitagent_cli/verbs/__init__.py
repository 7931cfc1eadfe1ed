"""One module for each verb, with `run(options, terminal)`: it reads, calls what is pure, and prints.

submit, retry         write to an object
lists, leaderboard    tables
explain, logs         one object
files                 fetch and report
doctor                the cluster
completion            scripts of shells
"""
