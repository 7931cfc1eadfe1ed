"""Sources of tasks: the table from the contract's sources to their readers, and the readers.

    base           the interface of readers, and what several of them need
    bfcl           the official cases of the bfcl-eval package
    jsonl          a JSON Lines file, local (`local_files`: or a folder) or on the web
    hugging_face   a split of a dataset on the hub; `splits` says which of its files that is, and
                   `shards` which are missing
    stream         the newest samples of a growing file, or (`wandb`) of a Weights & Biases project
    file_formats   rows of JSON, CSV and Parquet files

All data is streamed: memory does not grow with its size. What a row means is `bitagent_evaluator.tasks.rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bitagent_crds.jobs import source_key
from bitagent_crds.schema import Model
from bitagent_crds.tasks import BfclSource, DatasetSource, JsonlSource, StreamSource, TaskSource
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.base import SourceInputs, SourceReader, source_label
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks
from bitagent_evaluator.tasks.sources.jsonl import JsonlTasks
from bitagent_evaluator.tasks.sources.stream import StreamTasks


def _hugging_face(parameters: DatasetSource, inputs: SourceInputs) -> SourceReader:
    """Return the reader of a dataset. The hub's client takes long to import."""
    from bitagent_evaluator.tasks.sources.hugging_face import HuggingFaceTasks

    return HuggingFaceTasks(parameters, inputs)


SOURCE_READERS: Mapping[type[Model], Callable[[Any, SourceInputs], SourceReader]] = MappingProxyType(
    {
        BfclSource: BfclTasks,
        JsonlSource: JsonlTasks,
        DatasetSource: _hugging_face,
        StreamSource: StreamTasks,
    }
)
"""The reader of each member of the contract's `TaskSource`, by the type of that member."""


def open_source(
    index: int, spec: TaskSource, file: Path | None, environment: Mapping[str, str] | None = None
) -> SourceReader:
    """Return the reader of entry `index` of `tasks.sources`. `environment` may have its key (`source_key`).

    Raises TaskSetError if not exactly one member is set, or its parameters are wrong.
    """
    key = (environment or {}).get(source_key(index))
    members = {field.alias or name: name for name, field in type(spec).model_fields.items() if name != "weight"}
    given = {name: value for name, field in members.items() if (value := getattr(spec, field)) is not None}
    if len(given) != 1:
        raise TaskSetError(f"tasks.sources[{index}]: exactly one of {', '.join(members)} must be set, not {len(given)}")
    ((name, parameters),) = given.items()
    try:
        return SOURCE_READERS[type(parameters)](parameters, SourceInputs(file, key or None))
    except TaskSetError as error:
        raise TaskSetError(f"{source_label(index, name)}: {error}") from error
