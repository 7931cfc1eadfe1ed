"""Requests to an archive: each failure has its reason and names the place, and a private authority is trusted."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_local.cluster.pki import make_credentials

from .conftest import BUCKET, Double, document, serving, store_at

if TYPE_CHECKING:
    from bitagent_evaluator.archive.store import ArchiveStore

    from .conftest import Bucket


def refused(store: ArchiveStore) -> InfrastructureFault:
    with pytest.raises(InfrastructureFault) as caught:
        store.create("a", b"x")
    assert f"s3://{BUCKET}" in caught.value.message or "s3://other" in caught.value.message
    return caught.value


def test_an_object_is_created_once(double: Double) -> None:
    store = store_at(double.port)
    store.create("a", b"first")
    store.create("a", b"second")
    assert store.read("a") == b"first"


def test_what_is_not_there(double: Double) -> None:
    store = store_at(double.port)
    assert (store.read("a"), store.look("a")) == (None, None)


def test_wrong_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert refused(bucket.open()).reason is Reason.ARCHIVE_DENIED


def test_a_bucket_that_does_not_exist(double: Double) -> None:
    made = document(double.port).model_copy(update={"uri": "s3://other/x"})
    from bitagent_evaluator.archive.store import open_store

    assert refused(open_store(made)).reason is Reason.ARCHIVE_DENIED


def test_no_server(credentials: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        fault = refused(store_at(taken.getsockname()[1]))
    assert fault.reason is Reason.ARCHIVE_UNAVAILABLE
    assert "Connection refused" in fault.message


@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_the_server(double: Double, status: int) -> None:
    double.fault = lambda method, path: status
    assert refused(store_at(double.port)).reason is Reason.ARCHIVE_UNAVAILABLE


def test_an_error_that_passes_is_not_seen(double: Double) -> None:
    double.fault = lambda method, path: 503 if len(double.requests) == 1 else None
    store_at(double.port).create("a", b"x")
    assert len(double.requests) == 2


def test_a_private_authority(credentials: None, tmp_path: Path) -> None:
    authority = make_credentials(tmp_path / "pki", addresses=["127.0.0.1"], server="https://127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate("apiserver"), authority.key("apiserver"))
    with serving(Double(), tls=context) as served:
        trusting = store_at(served.port, scheme="https", ca_file=str(authority.ca))
        trusting.create("a", b"x")
        assert list(served.objects.values()) == [b"x"]
        fault = refused(store_at(served.port, scheme="https"))
    assert fault.reason is Reason.ARCHIVE_UNAVAILABLE
    assert "UnknownIssuer" in fault.message


def test_a_file_of_certificates_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFault) as caught:
        store_at(1, ca_file=str(tmp_path / "ca.crt"))
    assert caught.value.reason is Reason.ARCHIVE_DENIED
