"""What the judge sees of a repository, and what it concludes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason


@dataclass(frozen=True)
class Evidence:
    """A repository without its weights."""

    sizes: Mapping[str, int]
    """Size in bytes of every file, by path."""
    small: Mapping[str, bytes]
    """Contents of the small files, by name."""
    headers: Mapping[str, bytes]
    """The first bytes of every weight file: length field and header, or what there is of them."""


@dataclass(frozen=True)
class Judgement:
    """What the evidence says. A judgement without `refusal` is a model that may be fetched and loaded."""

    refusal: tuple[Reason, str] | None
    """Why the model is refused, and the text for people."""
    architecture: str = ""
    parameters: int | None = None
    """None when the weight headers are not sound."""
    quantization: str = ""
    license: str = ""
    template_digest: str | None = None
    config: Mapping[str, Any] | None = None
    """The configuration reduced to the members that are known and checked; None when refused."""
