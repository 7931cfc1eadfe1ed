"""Format of an archive's `index.json`: what the archive of a round holds. snake_case keys, canonical JSON.

The index is written last: an archive that has one is complete, and one without is a part of one.
"""

from __future__ import annotations

import json

from pydantic import Field

from bitagent_crds.fields import Digest
from bitagent_crds.schema import SCHEMA_VERSION, FileModel
from bitagent_crds.texts import digest_of

INDEX_NAME = "index.json"


class ArchivedFile(FileModel):
    """One object of the archive."""

    path: str
    """Its key, relative to the index; for a copied file also its path below the round's directory of the volume."""
    bytes: int = Field(ge=0)
    digest: Digest
    """SHA-256 of the content, as it was read back."""
    derived: bool = False
    """Whether it is not a file of the volume: a report of such files, or the signed leaderboard."""


class ArchiveIndex(FileModel):
    """All objects of the archive of one round."""

    schema_version: int = SCHEMA_VERSION
    round: str
    """Name of the EvalRound."""
    round_uid: str
    files: list[ArchivedFile]
    """In the order of their paths."""
    left_out: list[str] = []
    """Paths of what is not archived: links, devices, and names with other characters than letters, digits, `._-`."""

    def content(self) -> bytes:
        """Return the file: equal indexes have equal bytes."""
        plain = self.model_dump(mode="json")
        return (json.dumps(plain, sort_keys=True, separators=(",", ":")) + "\n").encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest_of(self.content())

    def copied(self) -> dict[str, str]:
        """Return the digests of the files that were copied from the volume, by path."""
        return {file.path: file.digest for file in self.files if not file.derived}
