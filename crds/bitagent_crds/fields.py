"""Field types shared by the kinds. Every string has a maximum length and, where it has a form, a pattern."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from bitagent_crds.schema import Model, cel, rules

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = f"{_DNS_LABEL}([.]{_DNS_LABEL})*"
_LABEL_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = f"({_SUBDOMAIN}/)?{_LABEL_NAME}"

Label = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
"""Value of a label; it may be empty."""
LabelKey = Annotated[str, Field(max_length=253, pattern=f"^{_LABEL_KEY}$")]
"""Key of a label: a name, or a DNS name, a slash and a name."""
TaintKey = Annotated[str, Field(max_length=253, pattern=f"^({_LABEL_KEY})?$")]
"""Key of a taint, of the form of a label key; empty for any."""
Name = Annotated[str, Field(max_length=63, pattern=f"^{_SUBDOMAIN}$")]
"""Name of an object that is also the value of a label, such as `llama-3.1-8b`."""
ObjectName = Annotated[str, Field(max_length=253, pattern=f"^{_SUBDOMAIN}$")]
"""Name of any object: a DNS name (RFC 1123 subdomain)."""
DataKey = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$")
]
"""Key inside a Secret or a ConfigMap: letters, digits, `-`, `_` and `.`; neither `.` nor a beginning with `..`."""
Labels = Annotated[
    dict[LabelKey, Label],
    Field(
        max_length=16,
        json_schema_extra=rules(
            cel(
                f"self.all(key, key.size() <= 253 && key.matches('^{_LABEL_KEY}$'))",
                "a key must be a label key: letters, digits, '-', '_' and '.', at most 63, which begin and end with a "
                "letter or digit, after an optional DNS name and '/'",
            )
        ),
    ),
]
"""Labels by key, at most 16."""
_REQUESTS = "requests."


def _extended(name: str) -> str:
    if name.startswith(_REQUESTS):
        raise ValueError(f"a resource's name must not begin with {_REQUESTS}")
    return name


ResourceName = Annotated[
    str,
    Field(
        max_length=128,
        pattern=f"^{_SUBDOMAIN}/{_LABEL_NAME}$",
        json_schema_extra=rules(
            cel(f"!self.startsWith('{_REQUESTS}')", f"a resource's name must not begin with {_REQUESTS}")
        ),
    ),
    AfterValidator(_extended),
]
"""Name of an extended resource of nodes: a DNS name, a slash and a name."""
Repo = Annotated[str, Field(max_length=96, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*$")]
"""A repository, `owner/name`; both are also directories of the model cache."""
Revision = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
Commit = Annotated[str, Field(min_length=40, max_length=40, pattern=r"^[0-9a-f]{40}$")]
Digest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
SimilaritySketch = Annotated[str, Field(max_length=256, pattern=r"^[A-Za-z0-9_-]+$")]
"""Sketch of a model's weights, in base64url."""
AnswerSketch = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
"""Sketch of a model's answers on one task set, in base64url."""
Hotkey = Annotated[str, Field(max_length=48, pattern=r"^[1-9A-HJ-NP-Za-km-z]{47,48}$")]
"""An account in SS58 form."""
CommitmentHash = Annotated[str, Field(max_length=44, pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""A SHA-256 in base64, as the finetuning subnets write it."""
Score = Annotated[str, Field(max_length=8, pattern=r"^[01]\.[0-9]{6}$")]
"""A decimal from 0 to 1 in a string, because not every JSON client preserves floats."""
Text = Annotated[str, Field(max_length=1024)]
ShortText = Annotated[str, Field(max_length=128)]


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("a path must stay inside its volume")
    return path


Path = Annotated[
    str,
    Field(
        max_length=512,
        pattern=r"^[^/].*$",
        json_schema_extra=rules(cel("!self.split('/').exists(p, p == '..')", "a path must stay inside its volume")),
    ),
    AfterValidator(_inside),
]
"""A relative path inside a volume."""
Url = Annotated[str, Field(min_length=8, max_length=1024, pattern=r"^https?://[^\s]+$")]
"""An http or https address."""
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$")]
Loss = Annotated[str, Field(max_length=20, pattern=r"^([0-9]{1,12}\.[0-9]{6}|inf)$")]
"""A mean negative log-likelihood in a string, in nats per UTF-8 byte, or per token where the round says so; `inf` if it
could not be measured."""
Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[str, Field(max_length=16, pattern=r"^[0-9]+\.[0-9]{1,3}$")]
"""A duration in seconds, as a decimal string."""


def _rfc3339(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]
"""A time in UTC, in whole seconds."""


PluginName = Annotated[str, Field(max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]
"""Name of a scorer, prompt format or policy: a built-in one, or one that an installed package adds."""
PromptFormatName = PluginName

JOB_SECRETS = "bitagent-job-"
"""Prefix of the name of every Secret that may be passed to Jobs."""


class JobSecretKey(Model):
    """One key of a Secret in the same namespace that Jobs may use. The Secret's name must begin with
    `bitagent-job-`."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                f"self.name.startsWith('{JOB_SECRETS}')",
                f"only a Secret whose name begins with {JOB_SECRETS} may be handed to a Job: any other, "
                "such as a hotkey's, could be sent away",
            )
        )
    }

    name: ObjectName
    """name of the Secret, beginning with `bitagent-job-`."""
    key: DataKey
    """key inside the Secret."""

    @model_validator(mode="after")
    def _check_name(self) -> JobSecretKey:
        if not self.name.startswith(JOB_SECRETS):
            raise ValueError(f"only a Secret whose name begins with {JOB_SECRETS} may be handed to a Job")
        return self


class SecretKey(Model):
    """One key of a Secret in the same namespace that no Job may use. The Secret's name must not begin with
    `bitagent-job-`."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                f"!self.name.startsWith('{JOB_SECRETS}')",
                f"a Secret whose name begins with {JOB_SECRETS} may be handed to Jobs: keep a hotkey in another",
            )
        )
    }

    name: ObjectName
    """name of the Secret."""
    key: DataKey
    """key inside the Secret."""

    @model_validator(mode="after")
    def _check_name(self) -> SecretKey:
        if self.name.startswith(JOB_SECRETS):
            raise ValueError(f"a Secret whose name begins with {JOB_SECRETS} may be handed to Jobs")
        return self
