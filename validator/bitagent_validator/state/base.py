"""The base of the documents that a validator keeps."""

from __future__ import annotations

from pydantic import (
    BaseModel,
    ConfigDict,
)


class Document(BaseModel):
    """A frozen document that refuses members of a later version."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )
