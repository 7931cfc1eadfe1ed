"""What a round asks: where tasks come from, how many, and how they are altered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import ObjectName, Path
from bitagent_crds.schema import Model, cel, exactly_one, rules


class BfclCategory(StrEnum):
    """Single-turn categories of the Berkeley Function Calling Leaderboard v4, named as upstream names them."""

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


class BfclSource(Model):
    """Official cases of the bfcl-eval package that the evaluator image pins."""

    categories: Annotated[
        list[BfclCategory], Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})
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


class JsonlSource(Model):
    """Tasks from a JSON Lines file, one task object a line; exactly one member is set."""

    model_config = {"json_schema_extra": rules(exactly_one("configMap", "volume"))}

    config_map: ConfigMapFile | None = None
    """configMap is a key of a ConfigMap that holds the lines."""
    volume: VolumeFile | None = None
    """volume is a file of a PersistentVolumeClaim."""


class TaskSource(Model):
    """One origin of tasks; exactly one of `bfcl` and `jsonl` is set."""

    model_config = {"json_schema_extra": rules(exactly_one("bfcl", "jsonl"))}

    bfcl: BfclSource | None = None
    """bfcl draws from the official leaderboard cases."""
    jsonl: JsonlSource | None = None
    """jsonl draws from a file of tasks."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """weight is this source's share of `tasks.count`, relative to the other sources' weights."""


Percent = Annotated[int, Field(ge=1, le=100)]


class ToolShuffle(Model):
    """The functions of a task in another order."""

    percent: Percent = 100
    """percent of the tasks that it applies to are altered."""


class DistractorTools(Model):
    """Functions of other tasks are added, none with a name that the task has."""

    percent: Percent = 100
    """percent of the tasks that it applies to are altered."""
    minimum: Annotated[int, Field(ge=1, le=32)] = 2
    """minimum is the fewest functions to add."""
    maximum: Annotated[int, Field(ge=1, le=32)] = 6
    """maximum is the most functions to add; at least `minimum`."""

    model_config = {
        "json_schema_extra": rules(cel("self.minimum <= self.maximum", "minimum must not be above maximum"))
    }


class Irrelevance(Model):
    """The expected functions are taken away; the right answer is then to call nothing."""

    percent: Percent = 25
    """percent of the tasks that it applies to are altered."""


class FunctionMask(Model):
    """Function names become random strings; descriptions and ground truth follow."""

    percent: Percent = 100
    """percent of the tasks that it applies to are altered."""


class ParameterMask(Model):
    """Parameter names become random strings; descriptions and ground truth follow."""

    percent: Percent = 100
    """percent of the tasks that it applies to are altered."""


class DefaultValueMask(Model):
    """Default values named in descriptions become random strings."""

    percent: Percent = 100
    """percent of the tasks that it applies to are altered."""


_ALTERATIONS = ("toolShuffle", "distractorTools", "irrelevance", "functionMask", "parameterMask", "defaultValueMask")


class Alteration(Model):
    """One change to tasks, so that remembering a benchmark does not help; exactly one member is set."""

    model_config = {"json_schema_extra": rules(exactly_one(*_ALTERATIONS))}

    tool_shuffle: ToolShuffle | None = None
    """toolShuffle puts the functions in another order."""
    distractor_tools: DistractorTools | None = None
    """distractorTools adds functions of other tasks."""
    irrelevance: Irrelevance | None = None
    """irrelevance takes the expected functions away."""
    function_mask: FunctionMask | None = None
    """functionMask renames functions."""
    parameter_mask: ParameterMask | None = None
    """parameterMask renames parameters."""
    default_value_mask: DefaultValueMask | None = None
    """defaultValueMask changes default values."""


Alterations = Annotated[list[Alteration], Field(max_length=8)]


class Tasks(Model):
    """How the task set is made. The same sources, count and seed give the same bytes on any machine."""

    sources: Annotated[list[TaskSource], Field(min_length=1, max_length=8)]
    """sources are drawn from by weight, without repetition; a source that runs dry leaves its share to the others."""
    count: Annotated[int, Field(ge=1, le=20000)]
    """count is the number of tasks; sources that hold fewer together fail the round."""
    alterations: Alterations = []
    """alterations change the drawn tasks, one after the other in this order."""
    seed: Annotated[str, Field(min_length=1, max_length=128)]
    """seed decides which tasks are drawn and their order; a validator uses the hash of the epoch's block."""
