"""Ports for servers."""

from __future__ import annotations

import socket
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import pytest

from bitagent_local.cluster import ports

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_ports_are_different_and_can_be_opened() -> None:
    found = ports.free_ports(8)
    assert len(set(found)) == 8
    for port in found:
        socket.create_server(("127.0.0.1", port)).close()


def test_no_outgoing_connection_takes_a_port_before_its_server() -> None:
    assert max(ports.PORTS) < int(OUTGOING.read_text().split()[0])


def test_a_port_that_was_returned_is_not_returned_again_soon() -> None:
    found = [*ports.free_ports(3), *ports.free_ports(3), *ports.free_ports(3)]
    assert len(set(found)) == 9


def test_a_block_of_ports_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (mine,) = ports.free_ports(1)
    start = mine - mine % ports.BLOCK
    monkeypatch.setattr(ports, "PORTS", range(start, start + ports.BLOCK))
    with pytest.raises(OSError, match="other processes"):
        ports._block(0)  # of another process
    monkeypatch.undo()
    other = ports._block(-1)
    assert next(other.ports) not in range(start, start + ports.BLOCK)
    other.name.close()


def _only(monkeypatch: pytest.MonkeyPatch, *found: int) -> None:
    block = SimpleNamespace(ports=cycle(found))
    monkeypatch.setattr(ports, "_block", lambda _process: block)


def test_a_port_in_use_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    used, free = ports.free_ports(2)
    _only(monkeypatch, used, free)
    with socket.create_server(("127.0.0.1", used)):
        assert ports.free_ports(1) == [free]


def test_too_few_ports_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    (used,) = ports.free_ports(1)
    _only(monkeypatch, used)
    with socket.create_server(("127.0.0.1", used)), pytest.raises(OSError, match="free ports"):
        ports.free_ports(1)
