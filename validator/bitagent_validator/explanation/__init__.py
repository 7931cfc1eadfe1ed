"""Answers for people.

doctor    what keeps a Validator from setting weights
beside    the same about the examiner and shared keys
findings  what it says about one thing
explain   what each hotkey would earn now, and what was set
row       each weight that would be set now, and what it comes from
printing  the verbs of the command line that print these
"""
