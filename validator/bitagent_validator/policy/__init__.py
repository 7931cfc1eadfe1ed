"""Policies: functions from scores to shares.

    interface         what a policy gets and returns
    registry          policies by name, built-in or of installed packages; what each hotkey earns, and why
    eligibility       who may be paid at all, the same for every policy that pays by results
    bitagent          exp(k x) of the score above the baseline
    win_rate          pairwise wins by the losses of batches
    winner_takes_all  the best, unless a later one exceeds it by a margin
    fixed             named hotkeys
    replay            recorded cases of the reference implementation, computed again

A policy has no access to the chain or to Kubernetes, and no part in encoding or submitting weights (`weights/`).
"""
