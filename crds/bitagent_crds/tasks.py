"""What a round asks: where tasks come from, how many, and how they are altered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitagent_crds.alterations import Alterations
from bitagent_crds.schema import Model
from bitagent_crds.sources import TaskSource


class Tasks(Model):
    """How the task set is made. The same sources, count and seed give the same bytes on any machine."""

    sources: Annotated[list[TaskSource], Field(min_length=1, max_length=8)]
    """sources are drawn from by weight, without repetition; a source that runs dry leaves its share to the others."""
    count: Annotated[int, Field(ge=1, le=20000)]
    """count is the number of tasks; sources that hold fewer together fail the round."""
    alterations: Alterations = []
    """alterations change the drawn tasks, one after the other in this order."""
    seed: Annotated[str, Field(min_length=1, max_length=128)]
    """seed decides which tasks are drawn and their order; a validator uses the hash of the epoch's block."""
