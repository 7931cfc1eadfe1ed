"""Source `huggingFace`: a split of a dataset on the hub."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from bitagent_crds.results import Task
from bitagent_crds.sources import HuggingFaceSource
from bitagent_evaluator.tasks.data.file_format import rows_of
from bitagent_evaluator.tasks.data.repository import DatasetRepository, Revision
from bitagent_evaluator.tasks.data.splits import files_of_split
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.reading import Row, read_rows
from bitagent_evaluator.tasks.rows.reader import Origin, row_reader
from bitagent_evaluator.tasks.source import Inputs, parameters_of


class HuggingFaceTasks:
    """The rows of one split, numbered from 0 as the hub's viewer numbers them. They pass by one at a time and are kept nowhere."""

    name = "huggingFace"

    def __init__(self, source: HuggingFaceSource, inputs: Inputs) -> None:
        self.parameters = parameters_of(source)
        self.version = ""
        self.skipped: Counter[str] = Counter()
        self._source = source
        self._repository = DatasetRepository(source.repo, token=inputs.key or os.environ.get("HF_TOKEN"))
        parts = [source.repo, *([source.config] if source.config else []), source.split]
        self._reader = row_reader(source.rows, source.columns, Origin(self.name, "/".join(parts)))

    def tasks(self) -> Iterator[Task]:
        """The tasks, one after the other; `version` is the commit from the first one on. Raises TaskSetError and InfrastructureFault."""
        revision = self._repository.at(self._source.revision)
        self.version = revision.commit
        what = f"dataset {self._source.repo} ({self._source.split})"
        yield from read_rows(self._rows(revision), self._reader, what=what, skipped=self.skipped)

    def _rows(self, revision: Revision) -> Iterator[Row]:
        source, number = self._source, 0
        try:
            paths = files_of_split(revision.files, revision.card(), config=source.config, split=source.split)
        except TaskSetError as error:
            raise TaskSetError(f"dataset {source.repo}: {error}") from error
        for path in paths:
            try:
                for row in rows_of(path, revision.files[path]):
                    yield str(number), row
                    number += 1
            except ValueError as error:
                raise TaskSetError(f"{path} of dataset {source.repo}: {error}") from error
