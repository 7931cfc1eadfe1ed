"""Files of results: responses, verdicts and their manifest. JSON Lines, UTF-8, snake_case keys.

results/  responses.jsonl (Response a line)  verdicts.jsonl (Verdict a line)  manifest.json (ResultsManifest)
          summary.json (EvaluateSummary)
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, model_validator

from bitagent_crds.evaluation import (
    Aggregation,
    BuiltinScorer,
    LossNormalization,
    LossParameters,
    RunSpec,
    ScorerName,
    Thinking,
)
from bitagent_crds.fields import Commit, Count, Digest, Loss, PromptFormatName, Score
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.schema import SCHEMA_VERSION, FileModel
from bitagent_crds.task_set import Baseline, TaskSetManifest


class Response(FileModel):
    """A model's answer to one task."""

    _later: ClassVar[frozenset[str]] = frozenset({"turns", "loss", "loss_tokens", "loss_bytes"})

    id: str
    """The task's id."""
    text: str
    """The decoded answer, without special tokens."""
    finish_reason: str
    """`stop`, or `length` if the token limit cut the answer."""
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    turns: list[list[str]] = []
    """In a conversation: the text of each step of each turn; `text` is the last one."""
    loss: float | None = None
    """Negative log-likelihood of the reference text in nats per UTF-8 byte, or per token if `loss_bytes` is None;
    infinite if it could not be measured."""
    loss_tokens: int | None = None
    """Number of tokens that were measured."""
    loss_bytes: int | None = None
    """Number of UTF-8 bytes of the text that was measured, by which the nats of its tokens are divided; None for a
    loss per token."""


class Unanswered(StrEnum):
    """Why a task has no answer that counts; the `error` of its verdict. All are the model's own doing."""

    NO_RESPONSE = "no_response"
    """Its prompt leaves no room for an answer within the model's own limit."""
    PROMPT_REFUSED = "prompt_refused"
    """The model's template, or the endpoint, rejects the conversation."""
    PROMPT_TOO_LONG = "prompt_too_long"
    """Its prompt is longer than the run's maxPromptTokens."""
    BUDGET_EXCEEDED = "budget_exceeded"
    """The tokens that the model may generate in all were spent on earlier tasks."""
    TIME_EXCEEDED = "time_exceeded"
    """The time for generating was over; which tasks are left depends on the machine."""


class NoteKind(StrEnum):
    """What a note on a model's files is about."""

    TEMPLATE = "Template"
    """The chat template, and what it is made of."""
    TURN_END = "TurnEnd"
    """The template ends an answer with something that ends no generation."""


class Verdict(FileModel):
    """Score of one answer."""

    _later: ClassVar[frozenset[str]] = frozenset({"loss", "kind"})

    id: str
    """The task's id."""
    category: str
    """The task's category."""
    passed: bool
    """Whether the answer is entirely right by the scorer's rule."""
    score: float = Field(default=0.0, ge=0.0, le=1.0)
    """Score of the task, from 0 to 1."""
    criteria: dict[str, tuple[float, float]] = {}
    """Points and possible points by criterion, for scorers with criteria."""
    error: str = ""
    """The checker's error type, such as `value_error:string`; empty if passed."""
    detail: str = ""
    """Human-readable explanation of the error."""
    loss: float | None = None
    """The loss from which `score` was computed, with scorer Loss."""
    kind: str = ""
    """Kind of the task, if kinds weigh equally in the model's score."""


class CategoryScore(FileModel):
    """Result in one category."""

    passed: int
    total: int
    score: Score = "0.000000"
    """Mean of the tasks' scores."""
    interval: tuple[Score, Score] | None = None
    """95 % confidence interval of `score`: Wilson's, or for losses by bootstrap over tasks; None if not computed."""


class ResultsManifest(FileModel):
    """Provenance of results: everything that is needed to reproduce them.

    The fields of the run are flat, and `choices` is not interpreted when a manifest is read, so that a report can be
    made of results that only another version can reproduce. `recorded` and `run` convert from and to a RunSpec.
    """

    _later: ClassVar[frozenset[str]] = frozenset(
        {
            *("loss", "batch_losses", "leaderboard", "task_set", "syntaxes", "choices", "loss_parameters"),
            *("aggregate", "kinds", "baseline"),
            *("max_prompt_tokens", "mean_answer_tokens", "generate_seconds", "unanswered", "model_digest"),
            "notes",
            *("thinking", "max_thought_tokens"),
        }
    )

    schema_version: int = SCHEMA_VERSION
    repo: str
    """Repository or directory of the model."""
    commit: Commit | None
    """Commit of the model; None for a local directory."""
    weights_digest: Digest | None
    """Digest of the weights, as in the model's facts; None if unknown."""
    model_digest: Digest | None = None
    """Digest of everything that decides the model's answers, as in its facts; None if unknown."""
    task_set_digest: Digest
    """Digest of the task set."""
    prompt_format: PromptFormatName
    """Prompt format that was used; never Auto."""
    thinking: Thinking | None = None
    """Whether the model was asked to think before it answers; None: not asked."""
    max_tokens: Count
    """Maximum length of one answer, in tokens."""
    max_thought_tokens: Count | None = None
    """Maximum length of the thought before an answer, in tokens; None: both share `max_tokens`."""
    max_prompt_tokens: Count | None = None
    """Maximum length of one prompt, in tokens; None: what the model allows."""
    mean_answer_tokens: Count | None = None
    """Generated tokens per task that the model could spend over all tasks; None: no such budget."""
    generate_seconds: Count | None = None
    """Seconds that the model could generate; None: no limit. Tasks that were left then (`unanswered`) may have an
    answer in a repetition, and others none."""
    engine: dict[str, Any]
    """Arguments of the inference engine."""
    choices: dict[str, Any] = {}
    """The submission's choices for the engine, as `EngineChoices` on the wire; `engine` follows from them."""
    packages: dict[str, str]
    """Versions of the packages that influence the result."""
    device: str
    """Hardware the engine ran on."""
    dtype: str
    """Number format of weights and activations."""
    responses_digest: Digest
    """SHA-256 of responses.jsonl in the order of the tasks."""
    verdicts_digest: Digest
    """SHA-256 of verdicts.jsonl in the order of the tasks."""
    scorer: ScorerName = BuiltinScorer.BFCL
    """Rule by which answers were scored."""
    aggregate: Aggregation | None = None
    """How the scores of tasks became the model's score; None: Mean."""
    score: Score
    """The model's score: the mean of the tasks' scores, or of those of the kinds of tasks (`aggregate`)."""
    interval: tuple[Score, Score] | None = None
    """95 % confidence interval of `score`: Wilson's, or for losses by bootstrap over tasks, seeded by the task set;
    None if not computed."""
    passed: int
    total: int
    unanswered: dict[str, int] = {}
    """Number of tasks without an answer that counts, by cause (`Unanswered`)."""
    categories: dict[str, CategoryScore]
    """Result in each category."""
    kinds: dict[str, CategoryScore] = {}
    """Result in each kind of task, if kinds weigh equally."""
    baseline: Baseline | None = None
    """Score of the best constant answer to the same tasks; None if it was not computed."""
    leaderboard: dict[str, Score] = {}
    """Columns of the BFCL leaderboard, as far as the task set has their categories."""
    loss: Loss | None = None
    """Mean loss of all samples, with scorer Loss."""
    batch_losses: list[Loss] = []
    """Mean losses of the parts of the samples, in order, with scorer Loss."""
    loss_parameters: LossParameters | None = None
    """Parameters of scorer Loss."""
    notes: dict[NoteKind, list[str]] = {}
    """What in the model's files is likely to cost a score, in words; empty if nothing was noticed."""
    syntaxes: list[str] = []
    """Accepted answer syntaxes, in the order in which they were tried."""
    task_set: TaskSetManifest | None = None
    """Manifest of the task set, from which it can be rebuilt; None if it had none."""

    @model_validator(mode="before")
    @classmethod
    def _name_the_normalization(cls, data: Any) -> Any:
        """Losses that were written before there was a choice are per token."""
        given = data.get("loss_parameters") if isinstance(data, dict) else None
        if not isinstance(given, dict) or "normalization" in given:
            return data
        return data | {"loss_parameters": given | {"normalization": LossNormalization.TOKEN}}

    def run(self) -> RunSpec:
        """Return what was run, with the prompt format that was used.

        Raises ValidationError if this version does not know one of `choices`; the error's location is inside `choices`.
        """
        recorded_fields = {name: getattr(self, _RECORDED_AS.get(name, name)) for name in RunSpec.model_fields}
        given = {name: value for name, value in recorded_fields.items() if value is not None}
        return RunSpec(**given | {"engine": EngineChoices.model_validate(self.choices)})


_RECORDED_AS = {"engine": "choices", "loss": "loss_parameters"}
"""Fields of a RunSpec that have another name in a manifest, where `engine` and `loss` are what came out."""


def recorded(run: RunSpec) -> dict[str, Any]:
    """Return the fields of a ResultsManifest that record the run."""
    fields = {_RECORDED_AS.get(name, name): value for name, value in run}
    measured = run.loss_parameters if run.scorer == BuiltinScorer.LOSS else None
    weighed = None if run.aggregate is Aggregation.MEAN else run.aggregate
    return fields | {"choices": run.engine.to_wire(), "loss_parameters": measured, "aggregate": weighed}
