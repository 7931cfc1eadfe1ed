"""Bounded field types shared by the kinds: every string says how long and of what form it may be."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer

from bitagent_crds.schema import Model, cel, rules

Label = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Name = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Repo = Annotated[str, Field(max_length=96, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+$")]
Revision = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
Commit = Annotated[str, Field(min_length=40, max_length=40, pattern=r"^[0-9a-f]{40}$")]
Digest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
Hotkey = Annotated[str, Field(max_length=48, pattern=r"^[1-9A-HJ-NP-Za-km-z]{47,48}$")]
"""An account in ss58 form."""
Score = Annotated[str, Field(max_length=8, pattern=r"^[01]\.[0-9]{6}$")]
"""A decimal from 0 to 1 in a string: floats do not survive every JSON client."""
Text = Annotated[str, Field(max_length=1024)]
ShortText = Annotated[str, Field(max_length=128)]
Path = Annotated[
    str,
    Field(
        max_length=512,
        pattern=r"^[^/].*$",
        json_schema_extra=rules(cel("!self.split('/').exists(p, p == '..')", "a path must stay inside its volume")),
    ),
]
"""A relative path inside a volume."""
Url = Annotated[str, Field(min_length=8, max_length=1024, pattern=r"^https?://[^\s]+$")]
"""An http or https address."""
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$")]
Loss = Annotated[str, Field(max_length=20, pattern=r"^([0-9]{1,12}\.[0-9]{6}|inf)$")]
"""A mean negative log-likelihood in nats per token, in a string; `inf` for a failure."""
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
"""A moment in UTC, to the second."""


def score_text(passed: float, total: float) -> str:
    """`passed / total` as a contract score; 0 of 0 is 0. Raises ValueError outside 0..1."""
    value = passed / total if total else 0.0
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"score {value} is outside 0..1")
    return f"{value:.6f}"


def loss_text(value: float) -> str:
    """A loss as the contract writes it; what is no number, or too large for one, is `inf`. Raises ValueError below 0."""
    if value < 0:
        raise ValueError(f"loss {value} is below 0")
    return f"{value:.6f}" if value < 10**12 else "inf"


class PromptFormat(StrEnum):
    """How a task becomes a prompt."""

    AUTO = "Auto"
    """The round's format; if that is Auto too: ChatTemplate for a model whose template takes tools, and for losses, else Bfcl."""
    BFCL = "Bfcl"
    """BFCL's prompting mode: the functions as JSON in the system message."""
    BITAGENT = "BitAgent"
    """The BitAgent subnet's system message and tool list."""
    CHAT_TEMPLATE = "ChatTemplate"
    """The model's own chat template, with the functions as its `tools`."""
    HAMMER = "Hammer"
    """Hammer's instructions; the answer is a JSON list of `{"name", "arguments"}`."""
    ALPACA = "Alpaca"
    """One instruction and a response heading, without special tokens."""
    VICUNA = "Vicuna"
    """USER: and ASSISTANT: turns after a system text."""
    CHATML = "ChatML"
    """<|im_start|> and <|im_end|> turns."""
    LLAMA2 = "Llama2"
    """[INST] and <<SYS>> turns."""


JOB_SECRETS = "bitagent-job-"
"""What the name of a Secret begins with that may be handed to Jobs."""


class JobSecretKey(Model):
    """One key of a Secret in the same namespace that may be handed to Jobs. Its name must begin with `bitagent-job-`."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                f"self.name.startsWith('{JOB_SECRETS}')",
                f"only a Secret whose name begins with {JOB_SECRETS} may be handed to a Job: any other, such as a hotkey's, could be sent away",
            )
        )
    }

    name: ObjectName
    """name of the Secret; it begins with `bitagent-job-`."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """key inside the Secret."""


class SecretKey(Model):
    """One key of a Secret in the same namespace, kept from Jobs: its name must not begin with `bitagent-job-`."""

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
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """key inside the Secret."""
