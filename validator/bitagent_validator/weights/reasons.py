"""What the answers of a node to a submission mean: whether it is certain, and which reason is reported. Pure.

A row is certainly not on the chain if nothing was signed, if the chain refused the call in a block, or if the pool
refuses the transaction by a rule that no other node would decide otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_crds.conditions import Reason


@dataclass(frozen=True)
class Answer:
    """The meaning of one answer."""

    reason: Reason = Reason.SUBMISSION_FAILED
    certain: bool = False
    """Whether this transaction can never be included."""
    again: bool = False
    """Whether it should be signed again at once."""


ANSWERS = {
    # The nonce is used: this very transaction never lands.
    "Stale": Answer(Reason.NONCE_TAKEN, certain=True, again=True),
    # Another transaction of this nonce is in the pool, and this one is not taken in; the next nonce is free.
    "PriorityTooLow": Answer(Reason.NONCE_TAKEN, certain=True, again=True),
    # It is in the pool already, or was; a transaction of a future nonce is kept until its turn.
    "AlreadyImported": Answer(),
    "Future": Answer(Reason.NONCE_TAKEN),
    "Usurped": Answer(Reason.NONCE_TAKEN),
    "BadProof": Answer(certain=True),
    "AncientBirthBlock": Answer(certain=True, again=True),
    "Payment": Answer(Reason.CANNOT_PAY_FEES, certain=True),
    "StakeAmountTooLow": Answer(Reason.STAKE_TOO_LOW, certain=True),
    "NotEnoughStakeToSetWeights": Answer(Reason.STAKE_TOO_LOW, certain=True),
    "RateLimitExceeded": Answer(Reason.RATE_LIMITED, certain=True),
    "SettingWeightsTooFast": Answer(Reason.RATE_LIMITED, certain=True),
    "CommittingWeightsTooFast": Answer(Reason.RATE_LIMITED, certain=True),
    "TooManyUnrevealedCommits": Answer(Reason.RATE_LIMITED, certain=True),
    "CommitQueueFull": Answer(Reason.RATE_LIMITED, certain=True),
    "CommitPayloadTooLarge": Answer(Reason.ROW_TOO_LONG, certain=True),
    "InvalidRevealRound": Answer(Reason.REVEAL_ROUND_REFUSED, certain=True, again=True),
    "HotKeyNotRegisteredInSubNet": Answer(Reason.NOT_REGISTERED, certain=True),
    "HotKeyNotRegisteredInNetwork": Answer(Reason.NOT_REGISTERED, certain=True),
    "NeuronNoValidatorPermit": Answer(Reason.NO_PERMIT, certain=True),
    "IncorrectWeightVersionKey": Answer(Reason.VERSION_KEY_TOO_LOW, certain=True),
    "InputLengthsUnequal": Answer(certain=True),
    "MechanismDoesNotExist": Answer(Reason.MECHANISM_NOT_FOUND, certain=True),
    "SubnetNotExists": Answer(Reason.SUBNET_NOT_FOUND, certain=True),
}
"""By the SDK's name of the error."""

CODES = {
    "rate_limited": Answer(Reason.RATE_LIMITED, certain=True),
    "not_registered": Answer(Reason.NOT_REGISTERED, certain=True),
    "not_authorized": Answer(Reason.NO_PERMIT, certain=True),
    "insufficient_balance": Answer(Reason.CANNOT_PAY_FEES, certain=True),
    # Of a row: its length, or its largest share.
    "limit_exceeded": Answer(certain=True),
    "subnet_not_exists": Answer(Reason.SUBNET_NOT_FOUND, certain=True),
    "invalid_argument": Answer(certain=True),
    "disabled": Answer(certain=True),
    "limited_by_node": Answer(Reason.RATE_LIMITED_BY_NODE, certain=True),
    "clock_skew": Answer(Reason.CLOCK_SKEW, certain=True),
    "hotkey_changed": Answer(certain=True),
}
"""By the SDK's error code, for errors without a name in `ANSWERS`."""

NODE_ONLY = frozenset({"Retracted", "FinalityTimeout", "Dropped", "Invalid", "Usurped"})
"""Errors of one node's pool after which another node may still include the transaction."""


def meaning(*, name: str, code: str) -> Answer:
    """Return what an answer means, by the SDK's name of the error and its code."""
    if name in ANSWERS:
        return ANSWERS[name]
    known = CODES.get(code, Answer())
    return Answer(known.reason) if name in NODE_ONLY else known


def skewed(seconds: float) -> str:
    """Return how far the clock is from the chain's: by so many seconds ahead, or behind if they are negative."""
    if seconds < 0:
        return f"the clock of this machine is {-seconds:.0f} s behind the time of the chain's newest block"
    return f"the clock of this machine is {seconds:.0f} s ahead of the chain's, or the chain's blocks are late"
