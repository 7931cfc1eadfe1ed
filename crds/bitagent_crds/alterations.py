"""Alterations of tasks, which take away the advantage of a memorised benchmark."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from bitagent_crds.defaults import given
from bitagent_crds.fields import JobSecretKey, Url
from bitagent_crds.schema import Model, cel, exactly_one, rules

Percent = Annotated[int, Field(ge=1, le=100)]


class ToolShuffle(Model):
    """Shuffle the functions of a task."""

    percent: Percent = 100
    """percent is the share of applicable tasks that are altered."""


_FEWEST, _MOST = 2, 6


class DistractorTools(Model):
    """Add functions of other tasks under names that the task does not have."""

    percent: Percent = 100
    """percent is the share of applicable tasks that are altered."""
    minimum: Annotated[int, Field(ge=1, le=32)] = _FEWEST
    """minimum is the smallest number of functions to add."""
    maximum: Annotated[int, Field(ge=1, le=32)] = _MOST
    """maximum is the largest number of functions to add; at least `minimum`."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                f"{given('minimum', _FEWEST)} <= {given('maximum', _MOST)}",
                f"minimum must not be above maximum; their defaults are {_FEWEST} and {_MOST}",
            )
        )
    }


class Irrelevance(Model):
    """Remove the expected functions; the right answer is then to make no call."""

    percent: Percent = 25
    """percent is the share of applicable tasks that are altered."""


class FunctionMask(Model):
    """Replace function names by random strings, in descriptions and ground truth too."""

    percent: Percent = 100
    """percent is the share of applicable tasks that are altered."""


class ParameterMask(Model):
    """Replace parameter names by random strings, in descriptions and ground truth too."""

    percent: Percent = 100
    """percent is the share of applicable tasks that are altered."""


class DefaultValueMask(Model):
    """Replace default values that descriptions name by random strings."""

    percent: Percent = 100
    """percent is the share of applicable tasks that are altered."""


Ratio = Annotated[str, Field(max_length=8, pattern=r"^(0\.[0-9]{1,6}|1\.0{1,6})$")]
"""A decimal from 0 to 1 in a string."""
_LEAST_ALIKE, _MOST_ALIKE = "0.2", "0.98"

_URL_WITH_MODEL = "url and model belong together: name both for a server of your own, or neither for the Validator's"
_KEY_WITH_URL = "apiKeySecretRef belongs to a url: the Validator's own rewriter takes no key"


class Rewrite(Model):
    """Reword user turns, and on request descriptions, by a language model. A rewording is accepted only if it means
    the same and keeps every value of the ground truth."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                f"double({given('minSimilarity', _LEAST_ALIKE)}) < double({given('maxSimilarity', _MOST_ALIKE)})",
                f"minSimilarity must be below maxSimilarity; their defaults are {_LEAST_ALIKE} and {_MOST_ALIKE}",
            ),
            cel("has(self.url) == has(self.model)", _URL_WITH_MODEL),
            cel("has(self.url) || !has(self.apiKeySecretRef)", _KEY_WITH_URL),
        )
    }

    percent: Percent = 100
    """percent is the share of applicable tasks that are altered."""
    url: Url | None = None
    """url of an OpenAI-compatible endpoint, up to and including `/v1`; absent: the `spec.rewriter` of the round's
    Validator."""
    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """model is the name of the model at the endpoint; set with `url`."""
    descriptions: bool = False
    """descriptions is whether descriptions of functions and parameters are reworded as well. Without it a model can
    recognise a known function by its description."""
    api_key_secret_ref: JobSecretKey | None = None
    """apiKeySecretRef is the endpoint's key; absent: none is sent."""
    min_similarity: Ratio = _LEAST_ALIKE
    """minSimilarity of the embeddings of original and rewording; a rewording below it has lost the meaning."""
    max_similarity: Ratio = _MOST_ALIKE
    """maxSimilarity of the embeddings; a rewording above it has hardly changed anything."""
    temperature: Annotated[str, Field(max_length=8, pattern=r"^[0-2]\.[0-9]{1,3}$")] = "1.0"
    """temperature of the language model, 0.0 to 2.999."""
    max_tokens: Annotated[int, Field(ge=1, le=8192)] = 1000
    """maxTokens bounds one rewording."""
    tries: Annotated[int, Field(ge=1, le=8)] = 2
    """tries is how many rewordings of one turn are requested before the original is kept."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    """concurrency is the number of requests in flight."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    """timeoutSeconds bounds one request."""

    @model_validator(mode="after")
    def _check_url(self) -> Rewrite:
        if (self.url is None) != (self.model is None):
            raise ValueError(_URL_WITH_MODEL)
        if self.url is None and self.api_key_secret_ref is not None:
            raise ValueError(_KEY_WITH_URL)
        return self


class Merge(Model):
    """Merge two tasks into one with both questions, the functions of both, and the calls of both expected (BFCL's
    parallel and parallel-multiple)."""

    percent: Percent = 25
    """percent is the share of applicable tasks that are altered."""


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
    """One change to tasks, which takes away the advantage of a memorised benchmark; exactly one member is set."""

    model_config = {"json_schema_extra": rules(exactly_one(*_ALTERATIONS))}

    tool_shuffle: ToolShuffle | None = None
    """toolShuffle shuffles the functions."""
    distractor_tools: DistractorTools | None = None
    """distractorTools adds functions of other tasks."""
    irrelevance: Irrelevance | None = None
    """irrelevance removes the expected functions."""
    function_mask: FunctionMask | None = None
    """functionMask renames functions."""
    parameter_mask: ParameterMask | None = None
    """parameterMask renames parameters."""
    default_value_mask: DefaultValueMask | None = None
    """defaultValueMask replaces default values."""
    rewrite: Rewrite | None = None
    """rewrite rewords user turns."""
    merge: Merge | None = None
    """merge combines two tasks into one."""


Alterations = Annotated[list[Alteration], Field(max_length=8)]
