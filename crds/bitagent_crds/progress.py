"""How far an evaluation is: the small document that its pod serves over HTTP, and that the operator reads.

It is a hint. Verdicts come from the summary alone, and a pod that serves none, as one of an older image does, is as
good as any other. It has numbers and one word of a fixed list, nothing that a miner wrote. But the process that serves
it also runs the miner's model, so a reader believes none of it, and takes no more than PROGRESS_BYTES.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from bitagent_crds.fields import Count
from bitagent_crds.schema import Model

PROGRESS_PORT = 8081
PROGRESS_PORT_NAME = "progress"
"""Name of the port in the pod's spec, by which it is found."""
PROGRESS_PATH = "/progress"
PROGRESS_BYTES = 4096
"""Longest answer that is read, with its head."""


class EvaluationPhase(StrEnum):
    """What an evaluation is doing while its container runs."""

    LOADING = "Loading"
    """It checks the model, writes prompts, and loads weights and engine."""
    GENERATING = "Generating"
    """The engine answers tasks."""
    SCORING = "Scoring"
    """All tasks are answered or given up, and the last verdicts are computed."""


def _known_phase(value: Any) -> Any:
    """Return None for a phase that this version does not know; the rest of the document counts nevertheless."""
    known = set(EvaluationPhase)
    return value if not isinstance(value, str) or value in known else None


class ProgressDocument(Model):
    """Progress of an evaluation's process, as it serves it. Members of a later version are ignored."""

    model_config = ConfigDict(extra="ignore")

    phase: Annotated[EvaluationPhase | None, BeforeValidator(_known_phase)] = None
    """What it does; None if it is a phase of a later version."""
    key: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9-]+$")] | None = None
    """Key of the evaluation that it is at, in a process that evaluates several models; None: it has one."""
    done: Count = 0
    """Tasks that have an answer, with those of earlier attempts."""
    total: Count = 0
    """Tasks that can be asked; 0 before that is known."""
    tokens: Count = 0
    """Tokens that this attempt has generated in finished answers."""
    tokens_per_second: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0
    """Their mean rate since the engine was ready."""
    idle_seconds: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0
    """Seconds without any progress: no step of the engine, and outside of generating no work of its processes."""
