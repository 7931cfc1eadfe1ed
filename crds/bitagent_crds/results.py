"""Files between the parts: tasks, responses, verdicts and their manifests. JSON Lines, UTF-8, snake_case keys.

    taskset/  tasks.jsonl (Task a line)  manifest.json (TaskSetManifest)
    results/  responses.jsonl (Response a line)  verdicts.jsonl (Verdict a line)  manifest.json (ResultsManifest)  summary.json (EvaluateSummary)

Readers accept what they do not know (a newer writer), writers write only what is here; `schema_version` moves when a meaning changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bitagent_crds.evalround import Scorer
from bitagent_crds.fields import Commit, Digest, PromptFormat, Score

SCHEMA_VERSION = 1


class FileModel(BaseModel):
    """Base of everything that is written to a file: frozen, and open to members of newer versions."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Expects(StrEnum):
    """What a right answer to a task looks like."""

    CALLS = "Calls"
    """The calls of the ground truth."""
    NO_CALL = "NoCall"
    """No call at all (BFCL irrelevance)."""
    ANY_CALL = "AnyCall"
    """At least one call, whichever (BFCL relevance)."""


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


class Task(FileModel):
    """One question with the functions that may answer it."""

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


class Response(FileModel):
    """A model's answer to one task."""

    id: str
    """The task's id."""
    text: str
    """The answer as decoded, special tokens left out."""
    finish_reason: str
    """`stop`, or `length` when the token limit cut the answer."""
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Verdict(FileModel):
    """The judgement of one answer."""

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


class SourceManifest(FileModel):
    """What one source gave to a task set."""

    source: str
    """Registry name."""
    version: str
    """Version of the data: a package version or the digest of a file."""
    parameters: dict[str, Any]
    """The source's parameters, as in the round's spec."""
    count: int
    """Tasks taken."""


class AlterationManifest(FileModel):
    """What one alteration did to a task set."""

    name: str
    """Registry name."""
    parameters: dict[str, Any]
    """Its parameters, as in the round's spec."""
    applied: int
    """Tasks that it changed."""
    skipped: dict[str, int]
    """Tasks that it left alone, by reason."""


class TaskSetManifest(FileModel):
    """Provenance of a task set."""

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
