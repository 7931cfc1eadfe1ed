"""The enforcer against a fake API server: what it loads, and when a pod may start."""

from __future__ import annotations

import io
import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.netpol import plugin
from bitagent_local.cluster.netpol.enforcer import Enforcer, pod_of
from bitagent_local.cluster.netpol.rules import Pod, Port


def pod(name: str = "client", *, address: str | None = None, **more: Any) -> dict[str, Any]:
    status = {"phase": more.pop("phase", "Running"), **({"podIP": address} if address else {})}
    spec = {"containers": [{"name": "c", "ports": more.pop("ports", [])}], **more}
    return {"metadata": {"namespace": "shop", "name": name, "labels": {"app": name}}, "spec": spec, "status": status}


DENY = {
    "metadata": {"namespace": "shop", "name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
}


@pytest.mark.parametrize(
    ("seen", "attached", "address"),
    [
        pytest.param(pod(), {}, None, id="no address yet"),
        pytest.param(pod(address="10.0.0.2"), {}, "10.0.0.2", id="from its status"),
        pytest.param(pod(), {("shop", "client"): "10.0.0.3"}, "10.0.0.3", id="announced"),
        pytest.param(pod(address="10.0.0.2"), {("shop", "client"): "10.0.0.3"}, "10.0.0.3", id="announced is newer"),
        pytest.param(pod(address="10.0.0.2", phase="Succeeded"), {}, None, id="ended: the address may be another's"),
        pytest.param(pod(address="10.0.0.2", phase="Failed"), {}, None, id="failed"),
        pytest.param(pod(address="10.0.0.2", hostNetwork=True), {}, None, id="the node's own address"),
        pytest.param(pod(address="fd00::2"), {}, None, id="IPv6"),
    ],
)
def test_the_address_of_a_pod(seen: dict[str, Any], attached: dict[tuple[str, str], str], address: str | None) -> None:
    found = pod_of(seen, attached)
    assert (found.address if found else None) == address


def test_named_ports_of_a_pod() -> None:
    seen = pod(address="10.0.0.2", ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2}])
    seen["spec"]["initContainers"] = [{"ports": [{"containerPort": 3, "name": "b", "protocol": "UDP"}]}]
    expected = Pod("shop", "client", {"app": "client"}, "10.0.0.2", (Port("b", "UDP", 3), Port("a", "TCP", 1)))
    assert pod_of(seen, {}) == expected


class FakeApi:
    """Lists what it was given, then yields the events that a test puts in."""

    def __init__(self, **listed: list[dict[str, Any]]) -> None:
        self.listed = listed
        self.events: dict[str, queue.Queue[dict[str, Any]]] = {kind: queue.Queue() for kind in listed}

    def get(self, path: str) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "items": self.listed[path.rpartition("/")[2]]}

    def watch(self, path: str, *, resource_version: str, seconds: int) -> Iterator[dict[str, Any]]:
        while True:
            yield self.events[path.rpartition("/")[2]].get()


class World:
    """A running enforcer and what it loaded."""

    def __init__(self, api: FakeApi, socket: Path) -> None:
        self.api = api
        self.loaded: queue.Queue[str] = queue.Queue()
        self.refuse = threading.Event()
        self.enforcer = Enforcer(api, load=self.load)  # type: ignore[arg-type]
        threading.Thread(target=self.enforcer.run, args=(socket,), daemon=True).start()

    def load(self, rules: str) -> None:
        if self.refuse.is_set():
            raise subprocess.CalledProcessError(1, "nft", stderr="refused")
        self.loaded.put(rules)

    def until(self, text: str) -> str:
        while text not in (rules := self.loaded.get(timeout=60)):
            pass
        return rules


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    api = FakeApi(pods=[pod()], namespaces=[{"metadata": {"name": "shop"}}], networkpolicies=[DENY])
    made = World(api, tmp_path / "s")
    yield made
    made.refuse.clear()  # its thread outlives the test and logs every refusal


def test_rules_follow_events(world: World) -> None:
    world.api.events["pods"].put({"type": "MODIFIED", "object": pod(address="10.0.0.7")})
    assert "10.0.0.7 : jump" in world.until("10.0.0.7")
    world.api.events["networkpolicies"].put({"type": "DELETED", "object": DENY})
    rules = world.loaded.get(timeout=60)
    assert "drop" not in rules


def test_a_pod_is_held_until_its_rules_are_loaded(world: World) -> None:
    assert world.enforcer.attach(("shop", "client"), "10.0.0.7", seconds=60)
    assert "10.0.0.7 : jump" in world.until("10.0.0.7")


def test_a_pod_that_the_api_server_does_not_show_is_not_let_through(world: World) -> None:
    assert not world.enforcer.attach(("shop", "unknown"), "10.0.0.8", seconds=0.1)


def test_a_pod_is_not_let_through_while_nft_refuses(world: World) -> None:
    world.loaded.get(timeout=60)
    world.refuse.set()
    assert not world.enforcer.attach(("shop", "client"), "10.0.0.7", seconds=0.2)


def test_a_late_detach_does_not_take_the_new_address(world: World) -> None:
    assert world.enforcer.attach(("shop", "client"), "10.0.0.7", seconds=60)
    world.enforcer.detach(("shop", "client"), "10.0.0.6")
    world.api.events["namespaces"].put({"type": "ADDED", "object": {"metadata": {"name": "other"}}})
    assert world.enforcer.attach(("shop", "client"), "10.0.0.7", seconds=60)
    world.enforcer.detach(("shop", "client"), "10.0.0.7")
    while "10.0.0.7" in world.loaded.get(timeout=60):
        pass


def run_plugin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, config: dict[str, Any]
) -> tuple[int, Any]:
    monkeypatch.setenv("CNI_COMMAND", command)
    monkeypatch.setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=client")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(config)))
    status = plugin.main()
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


RESULT = {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.7/24"}]}


def test_the_plugin_passes_the_result_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deadline = time.monotonic() + 60
    while not (tmp_path / "s").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    config = {"socket": str(tmp_path / "s"), "prevResult": RESULT}
    assert run_plugin(monkeypatch, capsys, "ADD", config) == (0, RESULT)
    assert "10.0.0.7 : jump" in world.until("10.0.0.7")
    assert run_plugin(monkeypatch, capsys, "DEL", config) == (0, None)
    while "10.0.0.7" in world.loaded.get(timeout=60):
        pass
