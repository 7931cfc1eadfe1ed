"""Where tasks come from: official cases, files, datasets of a hub, streams of new samples."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Digest, JobSecretKey, ObjectName, Path, Repo, Revision, ShortText, Url
from bitagent_crds.schema import Model, Schema, cel, exactly_one, rules


class BfclCategory(StrEnum):
    """Categories of the Berkeley Function Calling Leaderboard v4, named as upstream names them."""

    SIMPLE_PYTHON = "simple_python"
    SIMPLE_JAVA = "simple_java"
    SIMPLE_JAVASCRIPT = "simple_javascript"
    MULTIPLE = "multiple"
    PARALLEL = "parallel"
    PARALLEL_MULTIPLE = "parallel_multiple"
    IRRELEVANCE = "irrelevance"
    LIVE_SIMPLE = "live_simple"
    LIVE_MULTIPLE = "live_multiple"
    LIVE_PARALLEL = "live_parallel"
    LIVE_PARALLEL_MULTIPLE = "live_parallel_multiple"
    LIVE_IRRELEVANCE = "live_irrelevance"
    LIVE_RELEVANCE = "live_relevance"
    MULTI_TURN_BASE = "multi_turn_base"
    MULTI_TURN_MISS_FUNC = "multi_turn_miss_func"
    MULTI_TURN_MISS_PARAM = "multi_turn_miss_param"
    MULTI_TURN_LONG_CONTEXT = "multi_turn_long_context"


MULTI_TURN = frozenset(category for category in BfclCategory if category.startswith("multi_turn"))
"""Categories whose tasks are conversations; masks and other alterations leave them alone."""


class Rows(StrEnum):
    """How one row of data is read as a task."""

    TASK = "Task"
    """A line of tasks.jsonl."""
    GLAIVE = "Glaive"
    """Glaive function calling v2: `system` with the functions, `chat` with USER, ASSISTANT, FUNCTION RESPONSE turns."""
    BITAGENT = "BitAgent"
    """The BitAgent subnet's tasks: a `conversation` of `{"role", "content"}`, `tools` with `arguments` {required, type, description}."""
    COLUMNS = "Columns"
    """Any columns, as `columns` names them."""


class BfclSource(Model):
    """Official cases of the bfcl-eval package that the evaluator image pins."""

    categories: Annotated[
        list[BfclCategory], Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """categories are the leaderboard categories to draw from."""


class ConfigMapFile(Model):
    """One key of a ConfigMap in the round's namespace."""

    name: ObjectName
    """name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """key inside the ConfigMap."""


class VolumeFile(Model):
    """One file of a PersistentVolumeClaim in the round's namespace."""

    claim_name: ObjectName
    """claimName is the PersistentVolumeClaim; the task-set Job mounts it read-only."""
    path: Path
    """path of the file inside the volume."""


class UrlFile(Model):
    """A file on the web that cannot change unnoticed."""

    url: Url
    """url of the file, http or https."""
    digest: Digest
    """digest is the SHA-256 that the file must have."""


ColumnName = Annotated[str, Field(min_length=1, max_length=128)]


class Columns(Model):
    """Which column of a row holds what; a dot goes into an object. One of `question` and `messages` is needed, and one of `answers` and `reference`."""

    model_config = {
        "json_schema_extra": rules(
            exactly_one("question", "messages"),
            cel("has(self.answers) || has(self.reference)", "one of answers and reference must be set"),
            cel("!has(self.answers) || has(self.functions)", "answers are calls: functions must be set too"),
        )
    }

    id: ColumnName | None = None
    """id is a text that is unique in the data; absent: the row's number."""
    category: ColumnName | None = None
    """category is a text by which scores are grouped; absent: the source's name."""
    question: ColumnName | None = None
    """question is the user's text."""
    messages: ColumnName | None = None
    """messages is a list of `{"role", "content"}`, or the same as JSON text."""
    functions: ColumnName | None = None
    """functions is a list of descriptions in BFCL's or OpenAI's form, or the same as JSON text."""
    answers: ColumnName | None = None
    """answers is a list of calls `{"name", "arguments"}`, or the same as JSON text; an empty one means that no call is right."""
    reference: ColumnName | None = None
    """reference is the text whose loss is measured."""


def _columns_with_rows() -> Schema:
    rule = "(has(self.rows) && self.rows == 'Columns') == has(self.columns)"
    return cel(rule, "columns must be set when rows is Columns, and only then")


class JsonlSource(Model):
    """Rows of a JSON Lines file, one object a line; exactly one of `configMap`, `volume` and `url` is set."""

    model_config = {"json_schema_extra": rules(exactly_one("configMap", "volume", "url"), _columns_with_rows())}

    config_map: ConfigMapFile | None = None
    """configMap is a key of a ConfigMap that holds the lines."""
    volume: VolumeFile | None = None
    """volume is a file of a PersistentVolumeClaim."""
    url: UrlFile | None = None
    """url is a file on the web, pinned by its digest."""
    rows: Rows = Rows.TASK
    """rows says how a line is read."""
    columns: Columns | None = None
    """columns names the members to read when `rows` is Columns."""


class HuggingFaceSource(Model):
    """Rows of a dataset on the hub."""

    model_config = {"json_schema_extra": rules(_columns_with_rows())}

    repo: Repo
    """repo is the dataset, `owner/name`."""
    revision: Revision = "main"
    """revision is a branch, tag or commit; the manifest records the commit that it meant."""
    config: ShortText | None = None
    """config is the dataset's configuration; absent: its only or default one."""
    split: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] = "train"
    """split of the dataset."""
    rows: Rows = Rows.TASK
    """rows says how a row is read."""
    columns: Columns | None = None
    """columns names the columns to read when `rows` is Columns."""
    token_secret_ref: JobSecretKey | None = None
    """tokenSecretRef is a hub token for a private dataset."""


class WandbStream(Model):
    """Samples that the runs of a Weights & Biases project log."""

    entity: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    """entity owns the project."""
    project: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    """project whose runs are read, the newest first."""
    endpoint: Url = "https://api.wandb.ai"
    """endpoint of the service."""
    api_key_secret_ref: JobSecretKey | None = None
    """apiKeySecretRef is the API key; absent for a public project."""


class StreamSource(Model):
    """The newest samples of something that keeps growing; exactly one of `url` and `wandb` is set. What was taken is in the task set."""

    model_config = {"json_schema_extra": rules(exactly_one("url", "wandb"), _columns_with_rows())}

    url: Url | None = None
    """url of a JSON Lines file whose last lines are the newest."""
    wandb: WandbStream | None = None
    """wandb is a Weights & Biases project."""
    newest: Annotated[int, Field(ge=1, le=20000)] = 400
    """newest is how many samples are read."""
    rows: Rows = Rows.TASK
    """rows says how a sample is read."""
    columns: Columns | None = None
    """columns names the members to read when `rows` is Columns."""


_MEMBERS = ("bfcl", "jsonl", "huggingFace", "stream")


class TaskSource(Model):
    """One origin of tasks; exactly one of `bfcl`, `jsonl`, `huggingFace` and `stream` is set."""

    model_config = {"json_schema_extra": rules(exactly_one(*_MEMBERS))}

    bfcl: BfclSource | None = None
    """bfcl draws from the official leaderboard cases."""
    jsonl: JsonlSource | None = None
    """jsonl draws from a file."""
    hugging_face: HuggingFaceSource | None = None
    """huggingFace draws from a dataset of the hub."""
    stream: StreamSource | None = None
    """stream draws from the newest samples of a stream."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """weight is this source's share of `tasks.count`, relative to the other sources' weights."""
