"""Source `huggingFace`: a split of a dataset on the hub, read from the files of one commit.

No loading script of a repository is ever run.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bitagent_crds.conditions import Reason
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import DatasetSource
from bitagent_evaluator.models.hub import HubRepository, RepositoryKind
from bitagent_evaluator.support.http_resource import HttpResource
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, Row
from bitagent_evaluator.tasks.rows.convert import ROW_READERS, read_rows
from bitagent_evaluator.tasks.sources.base import SourceInputs, manifest_parameters
from bitagent_evaluator.tasks.sources.file_formats import read_file_rows
from bitagent_evaluator.tasks.sources.shards import declared_rows
from bitagent_evaluator.tasks.sources.splits import files_of_split

_log = logging.getLogger(__name__)

DATASET = RepositoryKind(
    type="dataset",
    label="dataset ",
    max_files=20_000,
    recursive=True,
    final=Reason.TASKS_FAILED,
    access_advice="give the source a token",
)

_README = "README.md"
_HEADER = re.compile(r"\s*---[\r\n]+(.*?)[\r\n]+---(?:[\r\n]|\Z)", re.DOTALL)
"""As huggingface_hub finds it: blank lines may precede it."""
_MAX_README_BYTES = 1 << 22


@dataclass(frozen=True)
class DatasetFile:
    """One file of a pinned commit; reading it raises FetchError."""

    size: int
    """Size in bytes."""
    resource: HttpResource

    def stream(self) -> Iterator[bytes]:
        """Yield all of its bytes."""
        return self.resource.stream(0, self.size)

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, not including, `end`."""
        return self.resource.read(start, end)


@dataclass(frozen=True)
class DatasetRevision:
    """A resolved revision of a dataset."""

    commit: str
    files: Mapping[str, DatasetFile]
    """Files by path."""

    def read_card(self) -> dict[str, Any]:
        """Return the header of the README; empty without one. Raises FetchError."""
        readme = self.files.get(_README)
        if readme is None or readme.size > _MAX_README_BYTES:
            return {}
        return parse_card(b"".join(readme.stream()))


def resolve_dataset(repo: str, revision: str, *, token: str | None) -> DatasetRevision:
    """Return the commit and the files of a branch, tag or commit. Raises FetchError."""
    repository = HubRepository(repo, revision, kind=DATASET, token=token)
    snapshot = repository.resolve()
    files = {path: DatasetFile(entry.size, repository.file(snapshot, path)) for path, entry in snapshot.files.items()}
    return DatasetRevision(snapshot.commit, files)


def parse_card(readme: bytes) -> dict[str, Any]:
    """Return the YAML header of a README; empty if there is none or it is malformed."""
    found = _HEADER.match(readme.decode("utf-8-sig", errors="replace"))
    if found is None:
        return {}
    try:
        card = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: such as the 13th month of a date
        return {}
    return card if isinstance(card, dict) else {}


class HuggingFaceTasks:
    """Reads the rows of one split, numbered from 0 as in the hub's viewer, one at a time."""

    name = "huggingFace"

    def __init__(self, source: DatasetSource, inputs: SourceInputs) -> None:
        self.parameters = manifest_parameters(source)
        self.version = ""
        self.skipped: Counter[str] = Counter()
        self._source = source
        self._token = inputs.key
        parts = [source.repo, *([source.config] if source.config else []), source.split]
        self._reader = ROW_READERS[source.rows](Origin(self.name, "/".join(parts)), source.columns)

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks; from the first one on, `version` is the commit.

        Raises TaskSetError if the spec is wrong or the data is malformed, FetchError if the hub cannot be read.
        """
        revision = resolve_dataset(self._source.repo, self._source.revision, token=self._token)
        self.version = revision.commit
        what = f"dataset {self._source.repo} ({self._source.split})"
        yield from read_rows(self._rows(revision), self._reader, what=what, skipped=self.skipped)

    def _rows(self, revision: DatasetRevision) -> Iterator[Row]:
        source, number = self._source, 0
        card = revision.read_card()
        try:
            files = files_of_split(revision.files, card, config=source.config, split=source.split)
        except TaskSetError as error:
            raise TaskSetError(f"dataset {source.repo}: {error}") from error
        if files.doubtful:
            _log.warning(
                "dataset %s (%s): are files missing? There is no %s",
                source.repo, source.split, ", ".join(files.doubtful),
            )  # fmt: skip
        for path in files.paths:
            try:
                for row in read_file_rows(path, revision.files[path]):
                    yield str(number), row
                    number += 1
            except ValueError as error:
                raise TaskSetError(f"{path} of dataset {source.repo}: {error}") from error
        declared = declared_rows(card, config=source.config, split=source.split)
        if declared is not None and number < declared:
            _log.warning(
                "dataset %s (%s): its README says %d rows, its files have %d: is one of them missing?",
                source.repo, source.split, declared, number,
            )  # fmt: skip
