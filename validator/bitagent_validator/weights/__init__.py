"""Weights: `vector` makes the row, `plan` decides whether to submit it, `submission` runs the process that does.

Submitting is safe to repeat because the chain is asked first. Before a row is sent, what is about to be sent is written
down (an intent); whoever finds an intent, this pod or the next, looks at the chain: the row is there, or it can no
longer get there because its transaction has expired. Only then is another one sent.
"""
