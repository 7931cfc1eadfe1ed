"""How a round's models answer, and how answers become scores."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import PromptFormat
from bitagent_crds.schema import Model, cel, rules


class Scorer(StrEnum):
    """How answers become scores."""

    BFCL = "Bfcl"
    """The official BFCL verdict of each task: 1 or 0."""
    BITAGENT_2024_11 = "BitAgent202411"
    """The BitAgent subnet's criteria as of November 2024, tool criteria only; a task's score is its points over the possible points, at least 0."""
    BITAGENT_2025_04 = "BitAgent202504"
    """The BitAgent subnet's criteria as of April 2025, likewise."""
    EXACT_MATCH = "ExactMatch"
    """1 when the answer parses to exactly the first allowed values of the ground truth, calls in order."""
    LOSS = "Loss"
    """The mean negative log-likelihood of a task's reference text; the score is exp(-loss), so that more is better here too."""


class LossParameters(Model):
    """How losses are measured."""

    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 2048
    """sequenceLength is the most tokens of prompt and reference together; what is beyond is cut."""
    batches: Annotated[int, Field(ge=1, le=32)] = 16
    """batches is the number of parts that the samples are split into, in order; each part's mean loss is reported, for pairwise policies."""


class Evaluation(Model):
    """How models answer and are judged."""

    model_config = {
        "json_schema_extra": rules(
            cel("!has(self.loss) || (has(self.scorer) && self.scorer == 'Loss')", "loss belongs to scorer Loss")
        )
    }

    scorer: Scorer = Scorer.BFCL
    """scorer judges the answers."""

    prompt_format: PromptFormat = PromptFormat.AUTO
    """promptFormat holds for all models; Auto leaves it to each MinerModel."""
    max_tokens: Annotated[int, Field(ge=1, le=8192)] = 256
    """maxTokens bounds one answer."""
    loss: LossParameters | None = None
    """loss says how losses are measured, for scorer Loss; absent: the defaults."""
