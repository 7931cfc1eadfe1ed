"""What a decision also says, and what is sent with a row beside its weights. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Weights
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.computed import ComputedWeights
from bitagent_validator.weights.plan import Decision


def paid_behind(row: Row, computed: ComputedWeights) -> Mapping[str, Mapping[str, int]]:
    """Return the shares by competition behind a row: none if it is not the one computed now, but the last good one."""
    return computed.paid if computed.row and computed.row.digest == row.digest else {}


def sent_version_key(weights: Weights, subnets: int) -> int:
    """Return the version key that is sent: the configured one, or the subnet's own if it may be followed."""
    return max(weights.version_key, subnets) if subnets <= weights.follow_version_key_up_to else weights.version_key


def with_notes(decision: Decision, computed: ComputedWeights) -> Decision:
    """Return a decision that also says which policy failed, and why nothing is burnt."""
    notes = [f"{name}: {why}; its last shares stay" for name, why in sorted(computed.failed.items())]
    reason = Reason.POLICY_FAILED
    if computed.burn_problem:
        notes.append(computed.burn_problem)
        reason = reason if computed.failed else Reason.BURN_UNAVAILABLE
    if not notes:
        return decision
    message = "; ".join([*notes, decision.message])
    if decision.reason in (Reason.WEIGHTS_SET, Reason.WEIGHTS_PENDING, Reason.NO_ELIGIBLE_MINERS):
        return replace(decision, current=False, reason=reason, message=message)
    return replace(decision, message=message)
