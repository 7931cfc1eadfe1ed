"""The models of `run`: folders, and repositories that are fetched as the fetch Job does it, into a cache that is kept.

A repository goes through `models.fetch`: resolved to a commit, validated in the sandbox by its small files and weight
headers, downloaded, and published by one rename. A commit that is in the cache already needs no network.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import Commit, Repo, Revision
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE
from bitagent_crds.names import cached_model_path
from bitagent_evaluator.models.cache import ModelCache
from bitagent_evaluator.models.fetch import fetch
from bitagent_evaluator.models.preflight import ADVICE, MAX_BYTES
from bitagent_evaluator.models.validation.files import directory_files, weight_files
from bitagent_evaluator.models.validation.kinds import check_kind
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.sandbox.protocol import Refused
from bitagent_evaluator.support.faults import FetchError, InfrastructureFault, ModelFault, ReasonedError
from bitagent_evaluator.support.files import read_pieces
from bitagent_evaluator.support.progress import Pace
from bitagent_evaluator.support.text import first_line

_log = logging.getLogger(__name__)

CACHE_VARIABLE = "BITAGENT_MODEL_CACHE"
_REPO: TypeAdapter[str] = TypeAdapter(Repo)
_REVISION: TypeAdapter[str] = TypeAdapter(Revision)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

Advance = Callable[[int, int], None]
"""Called with the bytes on disk and the bytes in all."""


class NoModel(ValueError):
    """An argument names no model; the message says what it is, and what to give instead."""


@dataclass(frozen=True)
class GivenModel:
    """A model as the command line names it: a folder, or a revision of a repository."""

    text: str
    directory: Path | None = None
    """The folder; None for a repository."""
    repo: str = ""
    revision: str = ""
    """Branch, tag or commit; empty for the main branch."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.text if self.directory is None else self.directory.resolve().name

    @property
    def folder_name(self) -> str:
        """Name of the folder of its results, below that of all."""
        return self.name.replace("/", "--") if self.directory is None else self.name


@dataclass(frozen=True)
class LocalModel:
    """A model whose files are on this machine."""

    directory: Path
    repo: str
    """Its origin, as results name it: the folder as it was given, or the repository."""
    commit: Commit | None = None
    """Commit of the repository; None for a folder."""


def default_cache() -> Path:
    """Return the folder for fetched models: $BITAGENT_MODEL_CACHE, or bitagent/models in the user's cache."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bitagent" / "models"


def add_fetch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for models that are fetched."""
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", default=default_cache(),
        help=f"where fetched models are kept, also ${CACHE_VARIABLE} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-bytes", type=int, default=MAX_BYTES, metavar="N",
        help="largest total size of a repository's files (default: %(default)s, the operator's default)",
    )  # fmt: skip


def given_model(text: str) -> GivenModel:
    """Return what an argument names: a folder if there is one, else a repository. Raises NoModel."""
    path = Path(text)
    if text and path.is_dir():
        _check_folder(path)
        return GivenModel(text, directory=path)
    if text and path.exists():
        raise NoModel(file_message(path))
    repo, _, revision = text.partition("@")
    try:
        _REPO.validate_python(repo)
        _REVISION.validate_python(revision or "main")
    except ValidationError:
        named = text or "an empty text"
        raise NoModel(f"{named} is neither a folder that exists nor a repository owner/name[@revision]") from None
    return GivenModel(text, repo=repo, revision=revision)


def file_message(path: Path) -> str:
    """Return why a file cannot be a model, and what to give instead."""
    folder = "a model is a folder with config.json, tokenizer.json and model*.safetensors"
    if path.suffix.lower() == ".gguf":
        return f"{path} is a GGUF file of llama.cpp; {folder}: give that of the model that it was converted from"
    return f"{path} is a file; {folder}: give {path.parent} if it is one"


def _check_folder(path: Path) -> None:
    """Raise NoModel if a folder has no weights that are loaded; the message says what it has instead."""
    sizes = directory_files(path, follow_links=True)
    if weight_files(sizes):
        return
    if not sizes:
        raise NoModel(f"{path} holds no files of a model, such as config.json and model.safetensors")
    try:
        check_kind(
            sizes,
            lambda name, start, length: b"".join(read_pieces(path / name, start, start + length)),
        )
    except Refused as error:
        raise NoModel(f"{path} is not a folder with model.safetensors: {error.message}") from None


def _ignore(done: int, total: int) -> None:
    """Show nothing."""


def local_model(given: GivenModel, cache: Path, *, max_bytes: int, advance: Advance = _ignore) -> LocalModel:
    """Return the model's files, fetched into `cache` if they are a repository's and not there yet.

    `advance` is called with the bytes that have arrived. Raises ModelFault for a model that a fetch Job refuses or does
    not find, and InfrastructureFault for the hub, the network and the disk.
    """
    if given.directory is not None:
        return LocalModel(given.directory, repo=given.text)
    size = 0

    def count(done: int, total: int) -> None:
        nonlocal size
        size = total
        advance(done, total)

    try:
        commit = _commit_in_cache(given, ModelCache(cache), max_bytes, count)
    except FetchError as error:
        raise _fault(error.reason, f"{given.text}: {error.message}") from error
    except SandboxUnavailable as error:
        raise InfrastructureFault(Reason.CRASHED, str(error)) from error
    except ConnectionError as error:  # the client's own, such as HF_HUB_OFFLINE
        raise _fault(Reason.HUB_UNAVAILABLE, f"{given.text}: {first_line(str(error))}") from error
    except OSError as error:
        raise InfrastructureFault(Reason.FETCH_FAILED, _disk_message(error, cache, size)) from error
    return LocalModel(cache / cached_model_path(given.repo, commit), repo=given.repo, commit=commit)


def _commit_in_cache(given: GivenModel, cache: ModelCache, max_bytes: int, advance: Advance) -> Commit:
    """Return the commit of the revision, once its files are in the cache. Raises as `fetch` does, and ModelFault."""
    if _COMMIT.fullmatch(given.revision):
        record = cache.find(cached_model_path(given.repo, given.revision))
        if record is not None and record.facts.model_digest is not None:
            return given.revision
    from bitagent_evaluator.models.hub import MODEL, HubRepository

    source = HubRepository(given.repo, given.revision or "main", kind=replace(MODEL, access_advice="set HF_TOKEN"))
    found = fetch(source, given.repo, cache, max_bytes=max_bytes, cache_max_bytes=0, advance=advance)
    if found.reason is not Reason.FETCHED or found.facts is None:
        raise _fault(found.reason, f"{given.text}: {found.message}")
    return found.facts.commit


def _fault(reason: Reason, message: str) -> ReasonedError:
    text = f"{message}; {advice}" if (advice := _advice(reason)) else message
    return ModelFault(reason, text) if reason.fault.final else InfrastructureFault(reason, text)


def _advice(reason: Reason) -> str:
    if reason is Reason.REPOSITORY_NOT_FOUND:
        return (
            "there is no folder of this name either. Look the spelling up on the hub's page of the model, and set "
            "HF_TOKEN for a private one (HF_ENDPOINT for another hub)"
        )
    if reason is Reason.HUB_UNAVAILABLE:
        return "a model that is in the cache already runs without a network as owner/name@COMMIT (all 40 digits)"
    return ADVICE.get(reason, "")


def _disk_message(error: OSError, cache: Path, size: int) -> str:
    """Return what to do about a failed write; `size` is that of the model in bytes, 0 if unknown."""
    if error.errno not in _NO_ROOM:
        return f"{error.filename or cache}: {error.strerror or first_line(str(error))}: is --cache {cache} writable?"
    existing = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    needs = f"the model has {size / 1e9:.3f} GB, " if size else ""
    return (
        f"the disk of {cache} is full ({needs}{free / 1e9:.3f} GB are free): remove models below it, or name another "
        f"folder with --cache or ${CACHE_VARIABLE}; the next run continues the download"
    )


def _end(*_: object) -> None:
    """End the process at once. What has arrived stays on disk, as after a killed fetch Job."""
    sys.stderr.write("\nbitagent-eval run: stopped; the same command continues the download\n")
    sys.stderr.flush()
    os._exit(EXIT_INFRASTRUCTURE)


@contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """Let an interrupt end the process: as an exception it would wait for downloads in other threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def fetching(console: Console, what: str, cache: Path) -> Iterator[Advance]:
    """Say that a model is fetched and where to; yield what shows the bytes: a spinner, or a log line now and then."""
    caption = f"fetching {what} into {cache}, if it is not there yet"
    if not console.is_terminal:
        pace = Pace()
        _log.info("%s", caption)

        def log(done: int, total: int) -> None:
            if pace.due():
                _log.info("%s: %.1f of %.1f MB", what, done / 1e6, total / 1e6)

        with _ended_by_interrupts():
            yield log
        return
    with console.status(escape(caption)) as status, _ended_by_interrupts():

        def show(done: int, total: int) -> None:
            status.update(escape(f"fetching {what} into {cache}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB"))

        yield show


def check_writable(directories: Sequence[Path]) -> None:
    """Make the folders of the results, before time is spent on a model. Raises OSError if one cannot be written to."""
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
