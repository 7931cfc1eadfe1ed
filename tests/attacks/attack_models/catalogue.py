"""All attack models, with the place where each is stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from attack_models import copies, costs, losses, programs, tables
from bitagent_crds.alterations import Alteration
from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Standing
from bitagent_crds.results import Unanswered
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.pipeline import alter_tasks

MASKS = [{"toolShuffle": {}}, {"functionMask": {}}, {"parameterMask": {}}]


class Place(StrEnum):
    """Where a model is stopped."""

    CHECK = "check"
    """`check` and the fetch Job, by headers and small files."""
    ADMISSION = "admission"
    """The operator, by the facts, before a GPU is used."""
    PROMPTS = "prompts"
    """The evaluation, by the round's own prompts, before an engine is loaded."""
    BUDGET = "budget"
    """The evaluation: answers beyond the budget do not count."""
    ROUND = "round"
    """The operator, when the round completes."""
    POLICY = "policy"
    """The validator: it is paid nothing."""


@dataclass(frozen=True)
class Attack:
    """One model, and what stops it."""

    build: Callable[[Path, Sequence[Task]], Path]
    """Writes the model to a folder; the tasks are those of the round that it is for."""
    place: Place
    reason: Reason | ResultState | Unanswered | Standing | str


def _altered(tasks: Sequence[Task]) -> list[Task]:
    return alter_tasks(tasks, [Alteration.model_validate(each) for each in MASKS], seed="0xabc")[0]


def _alone(build: Callable[[Path], Path]) -> Callable[[Path, Sequence[Task]], Path]:
    return lambda folder, tasks: build(folder)


ATTACKS: Mapping[str, Attack] = {
    "table-of-questions": Attack(tables.table, Place.CHECK, Reason.BAD_TOKENIZER),
    "table-from-seed": Attack(
        lambda folder, tasks: tables.table(folder, _altered(tasks)), Place.CHECK, Reason.BAD_TOKENIZER
    ),
    "table-of-descriptions": Attack(
        lambda folder, tasks: tables.table(folder, tasks, key=tables.description_of), Place.CHECK, Reason.BAD_TOKENIZER
    ),
    "table-in-normalizer": Attack(tables.table_in_normalizer, Place.CHECK, Reason.BAD_TOKENIZER),
    "table-in-merges": Attack(tables.table_in_merges, Place.CHECK, Reason.BAD_TOKENIZER),
    "table-in-markers": Attack(tables.table_in_markers, Place.CHECK, Reason.BAD_TOKENIZER),
    "padded-loss": Attack(_alone(losses.padded_loss), Place.CHECK, Reason.BAD_TOKENIZER),
    "filled-loss": Attack(_alone(losses.filled_loss), Place.CHECK, Reason.BAD_TOKENIZER),
    "reading-tokenizer": Attack(_alone(programs.reading_tokenizer), Place.CHECK, Reason.BAD_TOKENIZER),
    "editing-decoder": Attack(_alone(programs.editing_decoder), Place.CHECK, Reason.BAD_TOKENIZER),
    "unreadable-decoder": Attack(_alone(programs.unreadable_decoder), Place.CHECK, Reason.BAD_TOKENIZER),
    "knowing-template": Attack(_alone(programs.knowing_template), Place.CHECK, Reason.TEMPLATE_REFUSED),
    "counting-template": Attack(_alone(programs.counting_template), Place.CHECK, Reason.TEMPLATE_REFUSED),
    "cutting-template": Attack(_alone(programs.cutting_template), Place.CHECK, Reason.TEMPLATE_REFUSED),
    "copy-other-metadata": Attack(_alone(copies.other_metadata), Place.ADMISSION, ResultState.DUPLICATE),
    "copy-padded-header": Attack(_alone(copies.padded_header), Place.ADMISSION, ResultState.DUPLICATE),
    "copy-two-shards": Attack(_alone(copies.two_shards), Place.ADMISSION, ResultState.DUPLICATE),
    "copy-renamed-file": Attack(_alone(copies.renamed_file), Place.ADMISSION, ResultState.DUPLICATE),
    "copy-float32": Attack(_alone(copies.in_float32), Place.ADMISSION, ResultState.DUPLICATE),
    "copy-permuted": Attack(_alone(copies.permuted), Place.ROUND, Standing.NEAR_COPY),
    "copy-scaled": Attack(_alone(copies.scaled), Place.ROUND, Standing.NEAR_COPY),
    "copy-with-noise": Attack(_alone(copies.noisy), Place.ROUND, Standing.NEAR_COPY),
    "hungry": Attack(_alone(costs.hungry), Place.ADMISSION, Reason.NEEDS_TOO_MUCH_MEMORY),
    "long-prompts": Attack(_alone(costs.long_prompts), Place.PROMPTS, Reason.TEMPLATE_REFUSED),
    "endless": Attack(_alone(costs.endless), Place.BUDGET, Unanswered.BUDGET_EXCEEDED),
    "silent": Attack(_alone(costs.silent), Place.POLICY, Standing.AT_BASELINE),
}
