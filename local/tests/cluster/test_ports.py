"""Ports for servers."""

from __future__ import annotations

import socket
from pathlib import Path

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


def test_a_port_in_use_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_TRIES", 1)
    used, free = ports.free_ports(2)
    monkeypatch.setattr(ports, "PORTS", sorted([used, free]))
    with socket.create_server(("127.0.0.1", used)):
        assert ports.free_ports(1) == [free]


def test_too_few_ports_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    (used,) = ports.free_ports(1)
    monkeypatch.setattr(ports, "_TRIES", 0)
    monkeypatch.setattr(ports, "PORTS", range(used, used + 1))
    with socket.create_server(("127.0.0.1", used)), pytest.raises(OSError, match="free ports"):
        ports.free_ports(1)
