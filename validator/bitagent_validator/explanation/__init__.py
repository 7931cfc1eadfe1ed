"""Answers for people.

doctor    what keeps a Validator from setting weights
explain   what each hotkey would earn now, and what was set
printing  the verbs of the command line that print these
"""
