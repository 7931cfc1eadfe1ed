"""What the page knows, as frozen data. Pure.

text      untrusted text made visible, addresses that may be linked
objects   rounds, models and validators, reduced to what everybody may see
reading   objects of the API server to these
online    answers of miners that a Validator asks, to these
measured  manifests of results: intervals and categories
standing  rows of a ranking, and which of them are not shown to differ
board     all of it at one moment, and the questions that pages ask
"""
