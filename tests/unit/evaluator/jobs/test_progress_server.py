"""The server of the progress beside an evaluation: what it answers, and what cannot disturb it."""

from __future__ import annotations

import http.client
import socket

import pytest

from bitagent_crds.progress import PROGRESS_BYTES, PROGRESS_PATH, EvaluationPhase, ProgressDocument
from bitagent_evaluator.jobs import progress_server
from bitagent_evaluator.jobs.progress_server import serving
from bitagent_evaluator.support.progress import ProgressBoard


def get(port: int | None, path: str = PROGRESS_PATH, *, host: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_serves_the_document() -> None:
    board = ProgressBoard()
    with serving(board, port=0) as port:
        board.start_phase("generating", EvaluationPhase.GENERATING)
        board.update(3, 4, 50)
        status, body = get(port)
    found = ProgressDocument.model_validate_json(body)
    assert (status, found.phase, found.done, found.total) == (200, EvaluationPhase.GENERATING, 3, 4)
    assert len(body) < PROGRESS_BYTES // 4


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_it_serves_both_families() -> None:
    with serving(ProgressBoard(), port=0) as port:
        assert get(port, host="::1")[0] == get(port)[0] == 200


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"POST /progress HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"G"])
def test_it_answers_nothing_else(sent: bytes) -> None:
    with serving(ProgressBoard(), port=0) as port, socket.create_connection(("127.0.0.1", port or 0), 10) as client:
        client.sendall(sent)
        assert client.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_a_reader_that_sends_nothing_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_server, "REQUEST_SECONDS", 0.2)
    with serving(ProgressBoard(), port=0) as port, socket.create_connection(("127.0.0.1", port or 0), 10):
        assert get(port)[0] == 200


def test_a_port_that_is_taken_does_not_stop_the_evaluation() -> None:
    with serving(ProgressBoard(), port=0) as first, serving(ProgressBoard(), port=first or 0) as second:
        assert first is not None and second is None


def test_a_document_that_cannot_be_made_does_not_end_the_server() -> None:
    board, broken = ProgressBoard(), [True]

    def document() -> ProgressDocument:
        if broken.pop():
            raise RuntimeError("a bug")
        broken.append(False)
        return ProgressDocument()

    broken.insert(0, False)
    board.document = document  # type: ignore[method-assign]
    with serving(board, port=0) as port:
        with pytest.raises((http.client.HTTPException, OSError)):
            get(port)
        assert get(port)[0] == 200
