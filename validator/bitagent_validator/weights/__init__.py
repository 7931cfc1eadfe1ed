"""Weights: from shares to weights on the chain.

    setter    compare with the chain, submit
    attempts  the submission under way, and when another may be tried
    notes     what a decision also says
    slots     who holds the slots of a row, by what other endpoints say
    computed  from all competitions to one row, and why it is held
    turns     one transaction of the hotkey at a time
    vector    shares to u16 weights by hotkey
    fill      burning, and rows that are too short
    plan      whether to submit them now
    sightings whose row the newest setting is
    obstacles what keeps a row from being set until something changes
    reasons   what a node's answer to a submission means
    submit    one submission, in a process of its own
    signing   that process

Submitting may be repeated safely because the chain is read first. A row of weights is recorded as pending before it is
sent. Whichever pod then finds a pending row reads the chain: either the row is there, or its transaction has expired
and it can no longer get there. Only after that is another row sent.

How shares are computed is in `policy/`; what is recorded, and `Row` itself, is in `state`.
"""
