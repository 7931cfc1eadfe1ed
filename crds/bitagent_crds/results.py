"""Files between the parts: tasks, responses, verdicts and their manifests. JSON Lines, UTF-8, snake_case keys.

    taskset/  tasks.jsonl (Task a line)  manifest.json (TaskSetManifest)
    results/  responses.jsonl (Response a line)  verdicts.jsonl (Verdict a line)  manifest.json (ResultsManifest)  summary.json (EvaluateSummary)

Readers accept what they do not know (a newer writer), writers write only what is here; `schema_version` moves when a meaning changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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
    """Whether the official rule accepts the answer."""
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
    categories: dict[str, int]
    """Number of tasks per category."""
    builder: str
    """Program and version that built it."""


class CategoryScore(FileModel):
    """Outcome in one category."""

    passed: int
    total: int


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
    score: Score
    """Fraction of tasks passed."""
    passed: int
    total: int
    categories: dict[str, CategoryScore]
    """Outcome per category."""
