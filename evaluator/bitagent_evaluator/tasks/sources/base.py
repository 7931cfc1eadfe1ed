"""The interface of source readers, and what several of them need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bitagent_crds.conditions import Reason
from bitagent_crds.schema import Model
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import RowFormat
from bitagent_evaluator.support.http import check_address
from bitagent_evaluator.support.http_resource import HttpErrors, HttpResource
from bitagent_evaluator.tasks.files import TaskSetError

_WEB_ERRORS = HttpErrors(
    final=Reason.TASKS_FAILED,
    unavailable=Reason.INFRASTRUCTURE_FAULT,
    advice="is the server up and reachable from here?",
)
"""Reasons and remedy of failures at an address of a spec."""


@dataclass(frozen=True)
class SourceInputs:
    """What a reader gets besides the parameters of its source."""

    file: Path | None = None
    """The local file, for a source that reads one."""
    key: str | None = None
    """Token or API key."""


class SourceReader(Protocol):
    """A reader of one source. Constructed as `SourceReader(parameters, inputs)` from its member of the spec."""

    @property
    def name(self) -> str:
        """Name of its member in the spec, recorded in every task."""
        ...

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as in the spec, for the manifest."""
        ...

    @property
    def skipped(self) -> Mapping[str, int]:
        """Number of rows that are not tasks, by reason; complete once all tasks are read."""
        ...

    @property
    def version(self) -> str:
        """Version of the data, once it is read: a package version, a commit, or the digest of what was read."""
        ...

    def tasks(self) -> Iterable[Task]:
        """Return or yield every task; the order does not matter.

        A list is kept as a whole and has unique ids. Any other iterable is read once, and only tasks that may be drawn
        are kept, so that a source may be larger than memory. Raises TaskSetError if the spec is wrong, FetchError if
        something cannot be read.
        """
        ...


def source_label(index: int, name: str) -> str:
    """Return the name of a source in messages."""
    return f"tasks.sources[{index}] ({name})"


def manifest_parameters(source: Model) -> dict[str, Any]:
    """Return a source's parameters for the manifest, as in the spec.

    `rows: Task`, the default, is left out, as it always was.
    """
    wire = source.to_wire()
    return {name: value for name, value in wire.items() if (name, value) != ("rows", RowFormat.TASK.value)}


def open_address(url: str, what: str, *, max_bytes: int, headers: Mapping[str, str] | None = None) -> HttpResource:
    """Return the resource at an address of the spec. Raises TaskSetError if it is not a web address.

    `what` is its name in messages, `max_bytes` the largest file or answer that is accepted.
    """
    try:
        check_address(url)
    except ValueError as error:
        raise TaskSetError(str(error)) from None
    return HttpResource(url, what, _WEB_ERRORS, max_bytes, headers or {})
