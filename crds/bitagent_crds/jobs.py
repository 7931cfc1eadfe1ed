"""What operator and evaluator say to each other: one JSON document into a Job, one short summary out of it.

The document reaches the pod as the annotation `bitagent.io/job` on its template, mounted as the file JOB_FILE by the downward API:
the Job is the only object, so a Job and its input cannot disagree. The summary leaves through the container's termination message
(at most 4096 bytes); everything longer is in the artifact volume.

Exit codes: 0 done; 78 the model's fault, final; anything else an infrastructure fault, tried again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import PhaseSeconds
from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import Commit, Count, Digest, Loss, PromptFormat, Score, ShortText
from bitagent_crds.minermodel import Engine, ModelFacts
from bitagent_crds.schema import Model
from bitagent_crds.tasks import Tasks

EXIT_OK = 0
EXIT_MODEL_FAULT = 78
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 1
TERMINATION_MESSAGE_BYTES = 4096
JOB_ANNOTATION = "bitagent.io/job"
JOB_FILE = "/etc/bitagent/job.json"
TERMINATION_LOG = "/dev/termination-log"


class JobKind(StrEnum):
    """What a Job does."""

    FETCH = "Fetch"
    TASK_SET = "TaskSet"
    EVALUATE = "Evaluate"


class FetchJob(Model):
    """Resolve a model's revision, judge its safety by headers, download it into the cache.

    The hub's address and token come from the environment (HF_ENDPOINT, HF_TOKEN), as every hub client reads them.
    """

    kind: Literal[JobKind.FETCH] = JobKind.FETCH
    repo: str | None = None
    """Repository on the hub; None for a directory."""
    revision: str = "main"
    """Branch, tag or commit of `repo`."""
    directory: str | None = None
    """Absolute path of a mounted model directory, instead of `repo`."""
    cache_dir: str
    """Absolute path of the mounted model cache; the model goes to `layout.cached_model(...)` below it."""
    max_bytes: Count
    """Largest total size of the files to fetch."""
    cache_max_bytes: Count
    """Size that the cache is kept under by removing the models used longest ago; 0: unlimited."""


class FetchSummary(Model):
    """Outcome of a FetchJob."""

    reason: Reason
    """Fetched, or what was wrong."""
    message: str = ""
    facts: ModelFacts | None = None
    """Present as soon as the repository could be read, also for an unsafe model if its headers were sound."""


class TaskSetJob(Model):
    """Build a round's task set.

    What needs a key finds it in the environment: `source_key(i)` for `tasks.sources[i]`, `alteration_key(i)` for `tasks.alterations[i]`;
    the hub's address comes from HF_ENDPOINT.
    """

    kind: Literal[JobKind.TASK_SET] = JobKind.TASK_SET
    tasks: Tasks
    """The round's tasks, as in its spec."""
    files: dict[Annotated[str, Field(pattern=r"^[0-9]+$")], str] = {}
    """Absolute path of the mounted file of each JSONL source that is mounted, by its index in `tasks.sources`."""
    out_dir: str
    """Absolute path of the directory that gets tasks.jsonl and manifest.json."""


class TaskSetSummary(Model):
    """Outcome of a TaskSetJob."""

    reason: Reason
    """TasksReady, or TasksFailed when the spec cannot be met (exit 78: not worth a second try)."""
    message: str = ""
    digest: Digest | None = None
    count: Count = 0


class EvaluateJob(Model):
    """Evaluate one model on a task set."""

    kind: Literal[JobKind.EVALUATE] = JobKind.EVALUATE
    model_dir: str
    """Absolute path of the model's files, read-only."""
    task_set_dir: str
    """Absolute path of tasks.jsonl and manifest.json, read-only."""
    task_set_digest: Digest
    """Digest that tasks.jsonl must have."""
    out_dir: str
    """Absolute path of the results; an earlier attempt's answers there are taken over."""
    repo: str
    """Where the model came from, for provenance."""
    commit: Commit
    weights_digest: Digest
    prompt_format: PromptFormat
    """The round's format if it names one, else the model's; Auto leaves the choice to the evaluator."""
    max_tokens: Count
    scorer: Scorer = Scorer.BFCL
    """How answers are judged."""
    loss: LossParameters | None = None
    """How losses are measured, for scorer Loss; None: the defaults."""
    engine: Engine = Engine()


class EvaluateSummary(Model):
    """Outcome of an EvaluateJob."""

    reason: Reason
    """Evaluated, or the model's fault, or an infrastructure fault."""
    message: str = ""
    score: Score | None = None
    """Present when evaluated; "0.000000" for a model's fault."""
    passed: Count = 0
    total: Count = 0
    loss: Loss | None = None
    """Mean loss of all samples, with scorer Loss."""
    batch_losses: list[Loss] | None = None
    """Mean losses of the parts of the samples, in order, with scorer Loss."""
    result_digest: Digest | None = None
    """SHA-256 of results/manifest.json."""
    task_set_digest: Digest | None = None
    resumed: Count = 0
    """Answers taken over from an earlier attempt."""
    seconds: PhaseSeconds | None = None
    device: ShortText = ""


AnyJob = Annotated[FetchJob | TaskSetJob | EvaluateJob, Field(discriminator="kind")]
ANY_JOB: TypeAdapter[FetchJob | TaskSetJob | EvaluateJob] = TypeAdapter(AnyJob)


def source_key(index: int) -> str:
    """Environment variable with the token or API key of `tasks.sources[index]`."""
    return f"SOURCE_{index}_KEY"


def alteration_key(index: int) -> str:
    """Environment variable with the API key of `tasks.alterations[index]`."""
    return f"ALTERATION_{index}_KEY"


def termination_message(summary: Model) -> str:
    """The summary as JSON that fits a termination message; an over-long `message` is cut, the rest never is."""
    text = summary.model_dump_json(by_alias=True, exclude_none=True)
    excess = len(text.encode()) - TERMINATION_MESSAGE_BYTES
    message = getattr(summary, "message", "")
    while excess > 0 and message:
        message = message[: max(0, len(message) - max(excess, 16))]
        text = summary.model_copy(update={"message": message}).model_dump_json(by_alias=True, exclude_none=True)
        excess = len(text.encode()) - TERMINATION_MESSAGE_BYTES
    return text
