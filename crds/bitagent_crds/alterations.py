"""What may be done to tasks, so that remembering a benchmark does not help."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import JobSecretKey, Url
from bitagent_crds.schema import Model, cel, exactly_one, rules

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


Ratio = Annotated[str, Field(max_length=8, pattern=r"^(0\.[0-9]{1,6}|1\.0{1,6})$")]
"""A decimal from 0 to 1 in a string."""


class Rewrite(Model):
    """User turns reworded by a language model. A rewording is taken only if it says the same and keeps every value of the ground truth."""

    model_config = {
        "json_schema_extra": rules(
            cel("double(self.minSimilarity) < double(self.maxSimilarity)", "minSimilarity must be below maxSimilarity")
        )
    }

    percent: Percent = 100
    """percent of the tasks that it applies to are altered."""
    url: Url
    """url of an OpenAI-compatible endpoint, up to and with `/v1`."""
    model: Annotated[str, Field(min_length=1, max_length=256)]
    """model is the name by which the endpoint knows the model."""
    api_key_secret_ref: JobSecretKey | None = None
    """apiKeySecretRef is the endpoint's key; absent: none is sent."""
    min_similarity: Ratio = "0.2"
    """minSimilarity of the embeddings of question and rewording; below it the meaning was lost."""
    max_similarity: Ratio = "0.98"
    """maxSimilarity of the embeddings; above it hardly anything was reworded."""
    temperature: Annotated[str, Field(max_length=8, pattern=r"^[0-2]\.[0-9]{1,3}$")] = "1.0"
    """temperature of the language model, 0.0 to 2.999."""
    max_tokens: Annotated[int, Field(ge=1, le=8192)] = 1000
    """maxTokens bounds one rewording."""
    tries: Annotated[int, Field(ge=1, le=8)] = 2
    """tries is how many rewordings of one turn are asked for before the original stays."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    """concurrency is how many requests are open at once."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    """timeoutSeconds bounds one request."""


class Merge(Model):
    """Two tasks become one: both questions, the functions of both, the calls of both expected (BFCL's parallel and parallel-multiple)."""

    percent: Percent = 25
    """percent of the tasks that it applies to are altered."""


_ALTERATIONS = (
    "toolShuffle",
    "distractorTools",
    "irrelevance",
    "functionMask",
    "parameterMask",
    "defaultValueMask",
    "rewrite",
    "merge",
)


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
    rewrite: Rewrite | None = None
    """rewrite rewords the questions."""
    merge: Merge | None = None
    """merge makes one task of two."""


Alterations = Annotated[list[Alteration], Field(max_length=8)]
