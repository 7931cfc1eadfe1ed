"""Names of rounds that a validator makes: deterministic, so that making one twice is harmless."""

from __future__ import annotations

VALIDATOR_LABEL = "bitagent.io/validator"
COMPETITION_LABEL = "bitagent.io/competition"
EPOCH_LABEL = "bitagent.io/epoch"


def round_name(validator: str, competition: str, epoch: int) -> str:
    """The EvalRound's name. At most 24 + 1 + 16 + 1 + 6 bytes: epochs count from block 0, so six digits last for centuries."""
    return f"{validator}-{competition}-{epoch}"
