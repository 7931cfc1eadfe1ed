"""The tasks of a round: where they come from, how many are drawn, how they are altered, and the seed.

Sources are the official BFCL cases, files, datasets of a hub, and streams of new samples.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from bitagent_crds.alterations import Alterations
from bitagent_crds.fields import DataKey, Digest, JobSecretKey, ObjectName, Path, Repo, Revision, ShortText, Url
from bitagent_crds.schema import Model, Schema, cel, exactly_one, rules
from bitagent_crds.seeds import FROZEN_MESSAGE, SeedError, SeedFrom


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
    MEMORY_KV = "memory_kv"
    MEMORY_REC_SUM = "memory_rec_sum"
    MEMORY_VECTOR = "memory_vector"
    FORMAT_SENSITIVITY = "format_sensitivity"
    """200 cases of other categories, each with 26 variations of the prompt; the leaderboard's score leaves it out."""


MULTI_TURN = frozenset(category for category in BfclCategory if category.startswith("multi_turn"))
"""Categories whose tasks are conversations; masks and other alterations skip them."""
MEMORY = frozenset((BfclCategory.MEMORY_KV, BfclCategory.MEMORY_REC_SUM, BfclCategory.MEMORY_VECTOR))
"""Categories of questions about conversations that are held before; alterations skip them, too."""


class RowFormat(StrEnum):
    """Format of one row of data."""

    TASK = "Task"
    """A line of tasks.jsonl, as the evaluator writes it."""
    GLAIVE = "Glaive"
    """Glaive function calling v2: `system` with the functions, `chat` with USER, ASSISTANT, FUNCTION RESPONSE turns."""
    BITAGENT = "BitAgent"
    """The BitAgent subnet's tasks: a `conversation` of `{"role", "content"}`, and `tools` whose `arguments` have
    {required, type, description}."""
    OPENAI = "OpenAI"
    """OpenAI's fine-tuning files: `messages` with `tool_calls`, and `tools`."""
    SHARE_GPT = "ShareGPT"
    """`conversations` of `{"from", "value"}`, as ToolACE, Hermes and LLaMA-Factory write them, and `tools` or a system
    text with the functions."""
    COLUMNS = "Columns"
    """Columns that `columns` names."""


class BfclSource(Model):
    """Official cases of the bfcl-eval package, in the version that the evaluator image pins."""

    categories: Annotated[
        list[BfclCategory], Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})
    ]
    """categories are the leaderboard categories to draw from."""


class ConfigMapFile(Model):
    """One key of a ConfigMap in the round's namespace."""

    name: ObjectName
    """name of the ConfigMap."""
    key: DataKey
    """key inside the ConfigMap."""


class VolumeFile(Model):
    """One file of a PersistentVolumeClaim in the round's namespace."""

    claim_name: ObjectName
    """claimName is the PersistentVolumeClaim; the task-set Job mounts it read-only."""
    path: Path
    """path of the file inside the volume."""


class UrlFile(Model):
    """A file on the web, pinned by its digest."""

    url: Url
    """url of the file, http or https."""
    digest: Digest
    """digest is the SHA-256 that the content must have."""


ColumnName = Annotated[str, Field(min_length=1, max_length=128)]


class Columns(Model):
    """The column of each part of a task; a dot selects a member of an object, or an item of a list by its number
    (`messages.-1.content`). Either `question` or `messages` is required, and `answers` or `reference`."""

    model_config = {
        "json_schema_extra": rules(
            exactly_one("question", "messages"),
            cel("has(self.answers) || has(self.reference)", "one of answers and reference must be set"),
            cel("!has(self.answers) || has(self.functions)", "answers are calls: functions must be set too"),
        )
    }

    id: ColumnName | None = None
    """id is the column of a text that is unique in the data; absent: the row number."""
    category: ColumnName | None = None
    """category is the column of a text by which scores are grouped; absent: the source's name."""
    question: ColumnName | None = None
    """question is the column of the user's text."""
    messages: ColumnName | None = None
    """messages is the column of a list of `{"role", "content"}` or `{"from", "value"}`, or of the same as JSON text."""
    functions: ColumnName | None = None
    """functions is the column of a list of descriptions in BFCL's or OpenAI's form, or of the same as JSON text."""
    answers: ColumnName | None = None
    """answers is the column of a list of calls `{"name", "arguments"}`, or of the same as text, in any syntax that
    answers may have; with an empty list no call is right."""
    reference: ColumnName | None = None
    """reference is the column of the text whose loss is measured."""


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
    rows: RowFormat = RowFormat.TASK
    """rows is the format of a line."""
    columns: Columns | None = None
    """columns names the members to read when `rows` is Columns."""


class DatasetSource(Model):
    """Rows of a dataset on the hub."""

    model_config = {"json_schema_extra": rules(_columns_with_rows())}

    repo: Repo
    """repo is the dataset, `owner/name`."""
    revision: Revision = "main"
    """revision is a branch, tag or commit; the manifest records the commit that it resolved to."""
    config: ShortText | None = None
    """config is the dataset's configuration; absent: its only or default one."""
    split: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] = "train"
    """split of the dataset."""
    rows: RowFormat = RowFormat.TASK
    """rows is the format of a row."""
    columns: Columns | None = None
    """columns names the columns to read when `rows` is Columns."""
    token_secret_ref: JobSecretKey | None = None
    """tokenSecretRef is a hub token for a private dataset."""


class WandbStream(Model):
    """Samples that the runs of a Weights & Biases project have logged."""

    entity: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    """entity owns the project."""
    project: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    """project whose runs are read, the newest first."""
    endpoint: Url = "https://api.wandb.ai"
    """endpoint of the service."""
    api_key_secret_ref: JobSecretKey | None = None
    """apiKeySecretRef is the API key; absent for a public project."""


class StreamSource(Model):
    """The newest samples of a growing stream; exactly one of `url` and `wandb` is set. The task set records the
    samples taken."""

    model_config = {"json_schema_extra": rules(exactly_one("url", "wandb"), _columns_with_rows())}

    url: Url | None = None
    """url of a JSON Lines file whose last lines are the newest."""
    wandb: WandbStream | None = None
    """wandb is a Weights & Biases project."""
    newest: Annotated[int, Field(ge=1, le=20000)] = 400
    """newest is the number of samples to read."""
    rows: RowFormat = RowFormat.TASK
    """rows is the format of a sample."""
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
    hugging_face: DatasetSource | None = None
    """huggingFace draws from a dataset of the hub."""
    stream: StreamSource | None = None
    """stream draws from the newest samples of a growing file or project."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """weight is this source's share of `tasks.count`, relative to the other sources' weights."""


def _fixed(field: str) -> Schema:
    rule = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    return cel(rule, FROZEN_MESSAGE, reason="FieldValueForbidden")


class Tasks(Model):
    """Definition of the task set. The same sources, count, alterations and seed give the same bytes on any machine.
    Exactly one of `seed` and `seedFrom` is set."""

    model_config = {
        "json_schema_extra": rules(
            exactly_one("seed", "seedFrom"),
            *map(_fixed, ("sources", "count", "alterations", "seed")),
            cel("has(self.seedFrom) == has(oldSelf.seedFrom)", FROZEN_MESSAGE, reason="FieldValueForbidden"),
        )
    }

    sources: Annotated[list[TaskSource], Field(min_length=1, max_length=8)]
    """sources are drawn from by weight, without repetition; an exhausted source leaves its share to the others."""
    count: Annotated[int, Field(ge=1, le=20000)]
    """count is the number of tasks; the round fails if all sources together hold fewer."""
    alterations: Alterations = []
    """alterations change the drawn tasks, in this order."""
    seed: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """seed determines which tasks are drawn, their order and what alterations choose."""
    seed_from: SeedFrom | None = None
    """seedFrom is a seed that is unknown until every model of the round is fixed; validators use it."""

    @model_validator(mode="after")
    def _has_one_seed(self) -> Tasks:
        if (self.seed is None) == (self.seed_from is None):
            raise ValueError("exactly one of seed and seedFrom must be set")
        return self

    @property
    def reworded_by_validator(self) -> bool:
        """Whether a rewrite names no url, and so is the work of the rewriter of the round's Validator."""
        return any(each.rewrite is not None and each.rewrite.url is None for each in self.alterations)

    def known_seed(self) -> str:
        """Return the seed. Raises SeedError if it is not known yet, or if its secret is not the one committed to."""
        if self.seed_from is not None:
            return self.seed_from.seed()
        if self.seed is None:
            raise SeedError("the tasks have no seed")
        return self.seed
