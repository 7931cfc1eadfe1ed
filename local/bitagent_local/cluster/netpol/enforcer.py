"""Watch pods, namespaces and policies, and keep the node's ruleset in agreement with them.

Three threads list and watch, and one answers the plugin; each change wakes the main thread, which computes the whole
ruleset again and loads it if it differs. The only state is the objects last seen.
"""

from __future__ import annotations

import json
import logging
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.netpol.rules import Pod, Port, ruleset

PATHS = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}
Key = tuple[str, str]
"""Namespace and name."""
log = logging.getLogger("netpol")


def pod_of(seen: Mapping[str, Any], attached: Mapping[Key, str]) -> Pod | None:
    """Return the pod of an API object; None if it has no address of its own (not yet, or no longer).

    An address that the plugin has announced takes precedence: the API server learns of it a second later.
    """
    metadata, spec, status = seen["metadata"], seen["spec"], seen.get("status", {})
    address = attached.get((metadata["namespace"], metadata["name"])) or status.get("podIP")
    if not address or ":" in address or spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    # Sidecars are init containers, and receive connections as other containers do.
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    ports = tuple(
        Port(port["name"], port.get("protocol", "TCP"), port["containerPort"])
        for container in containers
        for port in container.get("ports", [])
        if "name" in port
    )
    return Pod(metadata["namespace"], metadata["name"], metadata.get("labels", {}), address, ports)


def load_with_nft(rules: str) -> None:
    """Replace the node's ruleset. Raises CalledProcessError if nft refuses it; the old one stays."""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, capture_output=True)


class Enforcer:
    """The state of one enforcer; `run` does not return."""

    def __init__(self, api: Api, *, load: Callable[[str], None] = load_with_nft) -> None:
        self._api = api
        self._load = load
        self._changed = threading.Condition()
        self._seen: dict[str, dict[Key, Mapping[str, Any]] | None] = dict.fromkeys(PATHS)
        self._attached: dict[Key, str] = {}
        self._generation = 0
        self._loaded = 0

    def run(self, socket: Path) -> None:
        """Enforce without end, answering the plugin at the socket."""
        for kind, path in PATHS.items():
            threading.Thread(target=self._follow, args=(kind, path), name=kind, daemon=True).start()
        server = _Server(str(socket), _Handler)
        server.enforcer = self
        threading.Thread(target=server.serve_forever, name="plugin", daemon=True).start()
        current = ""
        while True:
            generation, rules = self._next()
            if rules != current:
                try:
                    self._load(rules)
                except subprocess.CalledProcessError as error:
                    log.error("nft refused the rules, the old ones stay: %s\n%s", error.stderr.strip(), rules)
                    time.sleep(1)
                    continue
                current = rules
                log.info("rules loaded: %d chains drop", rules.count("counter drop"))
            with self._changed:
                self._loaded = generation
                self._changed.notify_all()

    def attach(self, key: Key, address: str, *, seconds: float) -> bool:
        """Record the address that a pod is about to get; return whether the rules contain it within so many seconds."""
        with self._changed:
            self._attached[key] = address
            self._generation += 1
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: key in (self._seen["pods"] or {}), timeout=seconds):
                return False
            needed = self._generation
            return self._changed.wait_for(lambda: self._loaded >= needed, timeout=seconds)

    def detach(self, key: Key, address: str) -> None:
        """Forget a pod's announced address, unless a new pod of that name has announced another; "" matches any."""
        with self._changed:
            announced = self._attached.get(key)
            if announced is not None and address in ("", announced):
                del self._attached[key]
                self._generation += 1
                self._changed.notify_all()

    def _next(self) -> tuple[int, str]:
        """Wait for a change since the last load; return its generation and rules."""
        with self._changed:
            self._changed.wait_for(lambda: self._generation > self._loaded and None not in self._seen.values())
            generation = self._generation
            seen = {kind: list((objects or {}).values()) for kind, objects in self._seen.items()}
            attached = dict(self._attached)
        rules = ruleset(
            pods=[pod for each in seen["pods"] if (pod := pod_of(each, attached)) is not None],
            namespaces={each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in seen["namespaces"]},
            policies=sorted(seen["policies"], key=_key),
        )
        return generation, rules

    def _follow(self, kind: str, path: str) -> None:
        while True:
            try:
                listed = self._api.get(path)
                self._change(kind, {_key(each): each for each in listed["items"]})
                version = listed["metadata"]["resourceVersion"]
                for event in self._api.watch(path, resource_version=version, seconds=300):
                    if event["type"] == "ERROR":
                        log.info("%s: watch ended: %s", kind, event["object"].get("message"))
                        break
                    if event["type"] != "BOOKMARK":
                        self._change_one(kind, event["object"], gone=event["type"] == "DELETED")
            except (ApiError, ValueError) as error:
                log.warning("%s: %s; listing again", kind, error)
                time.sleep(0.5)

    def _change(self, kind: str, objects: dict[Key, Mapping[str, Any]]) -> None:
        with self._changed:
            self._seen[kind] = objects
            self._generation += 1
            self._changed.notify_all()

    def _change_one(self, kind: str, seen: Mapping[str, Any], *, gone: bool) -> None:
        with self._changed:
            objects = self._seen[kind]
            if objects is None:
                return
            if gone:
                objects.pop(_key(seen), None)
            else:
                objects[_key(seen)] = seen
            self._generation += 1
            self._changed.notify_all()


def _key(seen: Mapping[str, Any]) -> Key:
    return seen["metadata"].get("namespace", ""), seen["metadata"]["name"]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    enforcer: Enforcer


class _Handler(socketserver.StreamRequestHandler):
    """A request of the plugin: a line of JSON, answered by `ok` or a reason."""

    server: _Server

    def handle(self) -> None:
        message = json.loads(self.rfile.readline())
        key = (message["namespace"], message["name"])
        answer = "ok"
        if message["command"] == "DEL":
            self.server.enforcer.detach(key, message["address"])
        elif not self.server.enforcer.attach(key, message["address"], seconds=5):
            answer = "the rules did not include the pod within 5 s"
        self.wfile.write(answer.encode())
