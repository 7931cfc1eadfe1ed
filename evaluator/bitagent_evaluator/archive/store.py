"""Requests to S3-compatible storage: create an object, upload one in parts, read one back.

Every method raises InfrastructureFault: the archive is outside of the model, and each failure is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import MemoryStore, S3Store

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import ArchiveJob
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.files import hash_pieces

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

RETRIES = 5
RETRY_SECONDS = 120
REQUEST_SECONDS = 300
"""Longest request: one part of a file, or one file that is read back."""
_CAUSES = re.compile(r'message: "([^"\n]+)"|InvalidCertificate\(\s*([A-Za-z]+)')
"""What the client's error says about its cause; its first line says only that a request failed."""


@dataclass(frozen=True)
class Stored:
    """Content of an object, as it was read back."""

    bytes: int
    digest: str


class ArchiveStore:
    """One place in a bucket; paths are relative to it."""

    def __init__(self, store: S3Store | MemoryStore, *, place: str) -> None:
        self._store, self._place = store, place

    def read(self, path: str) -> bytes | None:
        """Return an object; None if there is none."""
        with self._requests(path):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def look(self, path: str) -> Stored | None:
        """Read an object back and return what it holds; None if there is none."""
        with self._requests(path):
            try:
                pieces = obstore.get(self._store, path).stream()
            except FileNotFoundError:
                return None
            size = 0

            def counted() -> Iterator[bytes]:
                nonlocal size
                for piece in pieces:
                    size += len(piece)
                    yield piece

            digest = hash_pieces(counted()).hexdigest()
            return Stored(size, f"sha256:{digest}")

    def create(self, path: str, content: bytes) -> None:
        """Write an object unless there is one of this path, whatever it holds (`If-None-Match: *`)."""
        with self._requests(path):
            try:
                obstore.put(self._store, path, content, mode="create")
            except AlreadyExistsError:
                return

    def replace(self, path: str, content: bytes) -> None:
        """Write an object, also over one that is there."""
        with self._requests(path):
            obstore.put(self._store, path, content, mode="overwrite", use_multipart=False)

    def upload(self, path: str, file: BinaryIO, *, part_bytes: int) -> None:
        """Write a large object in parts; it appears as a whole or not at all."""
        with self._requests(path):
            obstore.put(self._store, path, file, use_multipart=True, chunk_size=part_bytes, max_concurrency=2)

    @contextmanager
    def _requests(self, path: str) -> Iterator[None]:
        where = f"{self._place}/{path}"
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            text = f"{where}: the credentials are refused, or may not do this: {_words(error)}"
            raise InfrastructureFault(Reason.ARCHIVE_DENIED, text) from error
        except FileNotFoundError as error:
            text = f"{where}: the bucket does not exist; create it, or correct archive.url: {_words(error)}"
            raise InfrastructureFault(Reason.ARCHIVE_DENIED, text) from error
        except BaseError as error:
            raise InfrastructureFault(Reason.ARCHIVE_UNAVAILABLE, f"{where}: {_words(error)}") from error


def _words(error: Exception) -> str:
    """Return the first line of the client's error, and its causes."""
    text = str(error)
    first = text.partition("\n")[0].strip()
    causes = dict.fromkeys(found[1] or f"certificate: {found[2]}" for found in _CAUSES.finditer(text))
    return "; ".join([first, *(cause for cause in causes if cause not in first)])


def open_store(job: ArchiveJob, *, retries: int = RETRIES) -> ArchiveStore:
    """Return the place that the document names. No request is made yet.

    Raises InfrastructureFault if the certificates cannot be read or the address is not valid.
    """
    bucket, _, prefix = job.uri.removeprefix("s3://").partition("/")
    config: S3Config = {"region": job.region, "virtual_hosted_style_request": not job.path_style}
    options: ClientConfig = {
        "allow_http": (job.endpoint or "").startswith("http://"),
        "timeout": timedelta(seconds=REQUEST_SECONDS),
    }
    if job.endpoint is not None:
        config["endpoint"] = job.endpoint
    try:
        if job.ca_file is not None:
            options["root_certificate"] = Path(job.ca_file).read_bytes()
        repetition: RetryConfig = {"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
        store = S3Store(bucket, prefix=prefix, config=config, client_options=options, retry_config=repetition)
    except OSError as error:
        text = f"{job.ca_file}: {error.strerror}; does the ConfigMap of archive.caConfigMap have the key ca.crt?"
        raise InfrastructureFault(Reason.ARCHIVE_DENIED, text) from error
    except (BaseError, ValueError) as error:
        text = f"{job.uri} at {job.endpoint or job.region} cannot be used: {_words(error)}"
        raise InfrastructureFault(Reason.ARCHIVE_DENIED, text) from error
    return ArchiveStore(store, place=job.uri)
