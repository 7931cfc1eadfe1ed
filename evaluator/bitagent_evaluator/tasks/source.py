"""The interface of task sources and their registry, whose names are the members of `TaskSource` in an EvalRound."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from bitagent_crds.results import Task
from bitagent_crds.sources import TaskSource
from bitagent_evaluator.registry import Registry
from bitagent_evaluator.tasks.errors import TaskSetError

SOURCES = Registry(
    what="task source",
    group="bitagent.task_sources",
    builtin={
        "bfcl": "bitagent_evaluator.tasks.bfcl:BfclTasks",
        "jsonl": "bitagent_evaluator.tasks.jsonl:JsonlTasks",
    },
)


class Source(Protocol):
    """An origin of tasks. Made as `Source(parameters, file)`: its member of the spec, and its file if it has one."""

    name: str
    """Registry name, written into every task."""
    version: str
    """Version of the data: a package version or the digest of a file."""
    parameters: dict[str, Any]
    """Its parameters as in the spec, for the manifest."""

    def tasks(self) -> list[Task]:
        """All tasks it has, with unique ids, in an order of no meaning. Raises TaskSetError."""
        ...


def open_source(index: int, spec: TaskSource, file: Path | None) -> Source:
    """The source that entry `index` of `tasks.sources` names. Raises TaskSetError."""
    named = {name: getattr(spec, name) for name in type(spec).model_fields if name != "weight"}
    chosen = {name: parameters for name, parameters in named.items() if parameters is not None}
    if len(chosen) != 1:
        raise TaskSetError(f"tasks.sources[{index}]: exactly one of {', '.join(named)} must be set, not {len(chosen)}")
    ((name, parameters),) = chosen.items()
    try:
        made: Source = SOURCES.load(name)(parameters, file)
    except TaskSetError as error:
        raise TaskSetError(f"tasks.sources[{index}] ({name}): {error}") from error
    return made
