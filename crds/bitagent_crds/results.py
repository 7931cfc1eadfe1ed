"""Files between the parts: tasks, responses, verdicts and their manifests. JSON Lines, UTF-8, snake_case keys.

    taskset/  tasks.jsonl (Task a line)  manifest.json (TaskSetManifest)
    results/  responses.jsonl (Response a line)  verdicts.jsonl (Verdict a line)  manifest.json (ResultsManifest)  summary.json (EvaluateSummary)

Readers accept what they do not know (a newer writer), writers write only what is here; `schema_version` moves when a meaning changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import Commit, Digest, Loss, PromptFormat, Score

SCHEMA_VERSION = 1


class FileModel(BaseModel):
    """Base of everything that is written to a file: frozen, and open to members of newer versions."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True, ser_json_inf_nan="strings")
    _later: ClassVar[frozenset[str]] = frozenset()
    """Members that came after others were written and signed: left out while they have nothing to say, so that old content keeps its digest."""

    @model_serializer(mode="wrap")
    def _without_silent_members(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {
            name: value for name, value in content.items() if name not in self._later or value not in (None, [], {}, "")
        }


class Expects(StrEnum):
    """What a right answer to a task looks like."""

    CALLS = "Calls"
    """The calls of the ground truth."""
    NO_CALL = "NoCall"
    """No call at all (BFCL irrelevance)."""
    ANY_CALL = "AnyCall"
    """At least one call, whichever (BFCL relevance)."""
    STATE = "State"
    """In a conversation: after each turn the systems are in the state, and gave the results, that the reference calls lead to."""
    TEXT = "Text"
    """The text of `reference`; only its loss is measured."""


class Language(StrEnum):
    """The language whose syntax the functions and calls of a task are written in."""

    PYTHON = "Python"
    JAVA = "Java"
    JAVASCRIPT = "JavaScript"


class AlterationRecord(FileModel):
    """One alteration of one task."""

    name: str
    """Registry name, such as `FunctionMask`."""
    parameters: dict[str, Any]
    """What it chose: enough to see the way back, such as `{"get_weather": "kq3v9"}` for a mask."""


class Conversation(FileModel):
    """A task of several turns, whose calls act on simulated systems (BFCL multi-turn)."""

    turns: list[list[dict[str, Any]]]
    """The user's messages of each turn; those of the first are also the task's `messages`."""
    ground_truth: list[list[str]]
    """Reference calls of each turn, as Python source: what the state after the turn is compared with."""
    classes: list[str]
    """Names of the simulated systems that take part."""
    initial_state: dict[str, Any]
    """What each system is loaded with, by its name."""
    held_back: dict[str, list[dict[str, Any]]] = {}
    """Functions that are missing at first and offered from a turn on, by the turn's index."""
    long_context: bool = False
    """Whether the systems are filled with much irrelevant content."""


class Task(FileModel):
    """One question with the functions that may answer it."""

    _later: ClassVar[frozenset[str]] = frozenset({"conversation", "reference"})

    id: str = Field(min_length=1, max_length=256)
    """Unique in the task set."""
    source: str
    """Registry name of the source, such as `bfcl`."""
    category: str
    """The source's category; scores are also given per category."""
    messages: list[dict[str, Any]]
    """Chat messages, `{"role", "content"}`."""
    functions: list[dict[str, Any]]
    """Function descriptions in BFCL's form: `{"name", "description", "parameters": {"type": "dict", "properties", "required"}}`."""
    expects: Expects = Expects.CALLS
    """What a right answer looks like."""
    language: Language = Language.PYTHON
    """Syntax of functions and calls."""
    alterations: list[AlterationRecord] = []
    """What was done to the task, in order."""
    parent: Task | None = None
    """The task before any alteration; None when there was none."""
    ground_truth: list[dict[str, dict[str, list[Any]]]] | None = None
    """One `{function: {argument: [allowed values]}}` per expected call, BFCL's possible answers; "" among the values marks an optional argument. None unless `expects` is Calls."""
    conversation: Conversation | None = None
    """The further turns, when `expects` is State."""
    reference: str | None = None
    """The text whose loss is measured; a task that expects Text needs one."""

    @model_validator(mode="after")
    def _check_what_is_expected(self) -> Task:
        talk = self.conversation
        if (self.expects is Expects.STATE) != (talk is not None):
            raise ValueError("conversation belongs to expects State, and is needed there")
        if talk is not None and not 0 < len(talk.turns) == len(talk.ground_truth):
            raise ValueError(
                f"conversation has {len(talk.turns)} turns and reference calls for {len(talk.ground_truth)}: it needs as many, and one at least"
            )
        if self.expects is Expects.TEXT and self.reference is None:
            raise ValueError("expects Text needs a reference")
        return self


class Response(FileModel):
    """A model's answer to one task."""

    _later: ClassVar[frozenset[str]] = frozenset({"turns", "loss", "loss_tokens"})

    id: str
    """The task's id."""
    text: str
    """The answer as decoded, special tokens left out."""
    finish_reason: str
    """`stop`, or `length` when the token limit cut the answer."""
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    turns: list[list[str]] = []
    """In a conversation: the text of each step of each turn; `text` is the last one."""
    loss: float | None = None
    """Mean negative log-likelihood of the reference text, in nats per token; infinite when it could not be measured."""
    loss_tokens: int | None = None
    """Tokens of the reference that `loss` is the mean over."""


class Verdict(FileModel):
    """The judgement of one answer."""

    _later: ClassVar[frozenset[str]] = frozenset({"loss"})

    id: str
    """The task's id."""
    category: str
    """The task's category."""
    passed: bool
    """Whether the answer is fully right by the scorer's rule."""
    score: float = Field(default=0.0, ge=0.0, le=1.0)
    """The task's share of the score."""
    criteria: dict[str, tuple[float, float]] = {}
    """Points and possible points by criterion, for scorers that have criteria."""
    error: str = ""
    """The checker's error type, such as `value_error:string`; empty when passed."""
    detail: str = ""
    """What was wrong, for people."""
    loss: float | None = None
    """The loss behind `score`, with scorer Loss."""


class SourceManifest(FileModel):
    """What one source gave to a task set."""

    _later: ClassVar[frozenset[str]] = frozenset({"skipped"})

    source: str
    """Registry name."""
    version: str
    """Version of the data: a package version or the digest of a file."""
    parameters: dict[str, Any]
    """The source's parameters, as in the round's spec."""
    count: int
    """Tasks taken."""
    skipped: dict[str, int] = {}
    """Rows that cannot be read as a task, by reason."""


class AlterationManifest(FileModel):
    """What one alteration did to a task set."""

    _later: ClassVar[frozenset[str]] = frozenset({"version"})

    name: str
    """Registry name."""
    parameters: dict[str, Any]
    """Its parameters, as in the round's spec."""
    applied: int
    """Tasks that it changed."""
    skipped: dict[str, int]
    """Tasks that it left alone, by reason."""
    version: str = ""
    """What it was done with, where that is not this program alone, such as the name and version of an embedding model."""


class TaskSetManifest(FileModel):
    """Provenance of a task set."""

    _later: ClassVar[frozenset[str]] = frozenset({"files", "spec"})

    schema_version: int = SCHEMA_VERSION
    digest: Digest
    """SHA-256 of tasks.jsonl."""
    count: int
    """Number of tasks."""
    seed: str
    """The seed that every choice follows from."""
    sources: list[SourceManifest]
    """What each source gave, in the order of the spec."""
    alterations: list[AlterationManifest] = []
    """What was done to the drawn tasks, in the order of the spec."""
    categories: dict[str, int]
    """Number of tasks per category."""
    builder: str
    """Program and version that built it."""
    files: dict[str, Digest] = {}
    """Digests of further files beside tasks.jsonl, such as the answers of a rewriter that a rebuild takes over."""
    spec: dict[str, Any] = {}
    """The spec that it was built by, as `Tasks` on the wire: what a rebuild follows."""


class CategoryScore(FileModel):
    """Outcome in one category."""

    passed: int
    total: int
    score: Score = "0.000000"
    """Mean of the tasks' scores."""
    interval: tuple[Score, Score] | None = None
    """95 % confidence interval of `score` by bootstrap over tasks; None where it was not computed."""


class ResultsManifest(FileModel):
    """Provenance of results: enough for a stranger to reproduce them."""

    _later: ClassVar[frozenset[str]] = frozenset(
        {"loss", "batch_losses", "leaderboard", "task_set", "syntaxes", "choices", "loss_parameters"}
    )

    schema_version: int = SCHEMA_VERSION
    repo: str
    """Repository or directory the model came from."""
    commit: Commit | None
    """Commit of the model; None for a local directory."""
    weights_digest: Digest | None
    """Digest of the weights, as in the model's facts; None when it was not established."""
    task_set_digest: Digest
    """Digest of the task set."""
    prompt_format: PromptFormat
    """The format that was used; never Auto."""
    max_tokens: int
    """Limit of one answer."""
    engine: dict[str, Any]
    """Arguments of the inference engine."""
    choices: dict[str, Any] = {}
    """What the submission chose of the engine, as `Engine` on the wire; `engine` follows from it."""
    packages: dict[str, str]
    """Versions of the packages that shape the result."""
    device: str
    """Hardware the engine ran on."""
    dtype: str
    """Number format in the engine."""
    responses_digest: Digest
    """SHA-256 of responses.jsonl in the order of the tasks."""
    verdicts_digest: Digest
    """SHA-256 of verdicts.jsonl in the order of the tasks."""
    scorer: Scorer = Scorer.BFCL
    """How answers were judged."""
    score: Score
    """Mean of the tasks' scores."""
    interval: tuple[Score, Score] | None = None
    """95 % confidence interval of `score` by bootstrap over tasks, seeded by the task set; None where it was not computed."""
    passed: int
    total: int
    categories: dict[str, CategoryScore]
    """Outcome per category."""
    leaderboard: dict[str, Score] = {}
    """Columns as the BFCL leaderboard computes them, those whose categories were asked."""
    loss: Loss | None = None
    """Mean loss of all samples, with scorer Loss."""
    batch_losses: list[Loss] = []
    """Mean losses of the parts of the samples, in order, with scorer Loss."""
    loss_parameters: LossParameters | None = None
    """How losses were measured, with scorer Loss."""
    syntaxes: list[str] = []
    """Answer syntaxes that were accepted, in the order in which they were tried."""
    task_set: TaskSetManifest | None = None
    """Manifest of the task set, when it came with one: what a rebuild follows."""
