"""Conditions as every kind's status has them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.fields import Text, Time
from bitagent_crds.schema import Open, StatusModel, map_list

AnyReason = Annotated[Reason, Open()]
"""A reason that a later version may have written."""
AnyConditionType = Annotated[ConditionType, Open()]
"""A type of condition that a later version may have written."""


class Condition(StatusModel):
    """An observation of one aspect of an object."""

    type: AnyConditionType
    """type names the aspect."""
    status: ConditionStatus
    """status is True, False or Unknown."""
    reason: AnyReason
    """reason is the machine-readable cause; a later version may have more of them."""
    message: Text = ""
    """message is a human-readable explanation and remedy."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that the condition refers to."""
    last_transition_time: Time
    """lastTransitionTime is the time of the last change of `status`."""


Conditions = Annotated[list[Condition], Field(max_length=12, json_schema_extra=map_list("type"))]
