"""The fourth part of the demo: three Validators from one file of values in a git repository, and who watches them.

Git server, Flux and Prometheus are processes of the local node, in its network and its cgroup: they end with the node.
"""

from __future__ import annotations

import json
import secrets
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from textwrap import dedent
from typing import Any

from bitagent_local.cluster.cgroups import node_cgroups
from bitagent_local.cluster.git_server import GitRepository, GitServer
from bitagent_local.cluster.gitops import Flux
from bitagent_local.cluster.host import SOURCES, ClusterError
from bitagent_local.cluster.monitoring import monitoring_tools
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.processes import Component, remember, remembered, start, wait_ready
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import MANIFESTS, MODELS, NAMESPACE, ROOT, WORLD_NAMESPACE, Stack, hotkey_secret

EXAMPLE = ROOT / "examples" / "fleet"
VALUES = (EXAMPLE / "values.yaml", EXAMPLE / "demo" / "values.yaml")
CHART = ROOT / "charts" / "bitagent-validator"
OPERATOR_CHART = ROOT / "charts" / "bitagent-operator"
RELEASE = "fleet"
CHAIN = "chain-fleet"
VALIDATORS = ("main", "second", "staging")
DEPLOYED = "deployed/fleet.yaml"
"""Path of what Flux applies; a pipeline would render it from the values beside it."""
FLUX_NAMESPACE = "flux-system"
GIT_PORT, STORAGE_PORT, PROMETHEUS_PORT = 3000, 9790, 9092
HEALTH_PORTS = (9440, 9441)
TARGETS, RULES = "targets.json", "rules.yaml"
WAIT_SECONDS = 600


@dataclass(frozen=True)
class Row:
    """What became of one Validator."""

    validator: str
    mode: str
    round: str
    phase: str
    best: str
    weights: str


def folder(node: Node) -> Path:
    """Return the folder of the repository and of the processes' files; it goes with the node."""
    return node.state / "fleet"


def ensure_process(node: Node, name: str, command: Sequence[str], *, port: int, path: str = "") -> None:
    """Start a process of the node unless it runs, and wait until it answers at its port of the node.

    Raises ClusterError if it ends, or does not answer in time; the message has the end of its log.
    """
    records = folder(node) / "run"
    if any(record.name == name and record.alive() for record in remembered(records)):
        return
    component = Component(name, command, folder(node) / f"{name}.log")
    prefix = node_cgroups(node.scope).join(node.enter)
    running = start(component, prefix=prefix)
    remember(records, name, running.pid)
    wait_ready(running, lambda: _silent(node, port, path), seconds=60)


def _silent(node: Node, port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://{node.address}:{port}/{path}", timeout=2):
            return None
    except OSError as error:
        return f"http://{node.address}:{port}/{path}: {error}"


def install_chain(stack: Stack, *, image: str) -> None:
    """Run the fleet's chain, and wait until it answers."""
    seed = stack.kubectl.run(
        "create", "configmap", f"{CHAIN}-seed", "-n", WORLD_NAMESPACE, "--dry-run=client", "-o", "yaml",
        f"--from-file=chain.yaml={EXAMPLE / 'demo' / 'chain.yaml'}",
    )  # fmt: skip
    stack.kubectl.apply(seed)
    stack.kubectl.apply(Template((MANIFESTS / "chain.yaml").read_text()).safe_substitute(WORLD_IMAGE=image, NAME=CHAIN))
    stack.kubectl.run("rollout", "status", f"deploy/{CHAIN}", "-n", WORLD_NAMESPACE, "--timeout=120s")


def apply_secrets(stack: Stack, scratch: Path) -> None:
    """Apply what git does not hold: hotkeys, and the key of the seeds that the fleet shares, which is kept."""
    for name in VALIDATORS:
        stack.kubectl.apply(hotkey_secret(stack, f"//fleet-{name}", scratch, name=f"{name}-hotkey"))
    if stack.kubectl.find("secret", "fleet-seed", "-n", NAMESPACE) is None:
        stack.kubectl.run(
            "create", "secret", "generic", "fleet-seed", "-n", NAMESPACE, f"--from-literal=key={secrets.token_hex(32)}"
        )


def commit(stack: Stack, node: Node) -> tuple[GitRepository, str]:
    """Serve a repository with the fleet's values and what the chart makes of them; return it and its newest commit."""
    repositories = folder(node) / "git"
    repositories.mkdir(parents=True, exist_ok=True)
    command = ["env", f"PYTHONPATH={SOURCES}", sys.executable, "-m", "bitagent_local.cluster.git_server"]
    command += [str(repositories), node.address, str(GIT_PORT)]
    repository = GitServer(repositories, f"http://{node.address}:{GIT_PORT}").create(RELEASE)
    ensure_process(node, "git", command, port=GIT_PORT, path=f"{RELEASE}.git/info/refs")
    files = {"values.yaml": VALUES[0].read_text(), "values-demo.yaml": VALUES[1].read_text()}
    return repository, repository.commit("Three validators", files | {DEPLOYED: rendered(stack)})


def rendered(stack: Stack) -> str:
    """Return the chart's objects with the fleet's values and the demo's tasks."""
    flags = [word for path in VALUES for word in ("--values", str(path))]
    tasks = ("--set-file", rf"taskFiles.own\.jsonl={MODELS / 'tasks.jsonl'}")
    return stack.run_helm("template", RELEASE, str(CHART), "-n", NAMESPACE, *flags, *tasks)


def apply_by_flux(stack: Stack, node: Node, flux: Flux, repository: GitRepository, revision: str) -> None:
    """Run Flux's controllers, give them the repository, and wait until they have applied the commit."""
    stack.kubectl.run("apply", "--server-side", *(f"--filename={each}" for each in flux.crds))
    stack.kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    stack.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FLUX_NAMESPACE}}))
    storage = folder(node) / "flux"
    storage.mkdir(parents=True, exist_ok=True)
    commands = flux.commands(
        storage, kubeconfig=node.kubeconfig, namespace=FLUX_NAMESPACE, storage=STORAGE_PORT, health=HEALTH_PORTS,
        address=node.address,
    )  # fmt: skip
    for (name, command), port in zip(commands.items(), HEALTH_PORTS, strict=True):
        ensure_process(node, name, command, port=port, path="readyz")
    for each in flux_objects(repository.url):
        stack.kubectl.apply(json.dumps(each))
    applied = (f"--for=jsonpath={{.status.lastAppliedRevision}}=main@sha1:{revision}", f"kustomization/{RELEASE}")
    stack.kubectl.run("wait", *applied, "-n", FLUX_NAMESPACE, "--timeout=120s")


def flux_objects(url: str) -> list[dict[str, Any]]:
    """Return Flux's objects: the repository, and the folder of it that is applied."""
    metadata = {"name": RELEASE, "namespace": FLUX_NAMESPACE}
    source = {"url": url, "ref": {"branch": "main"}, "interval": "10s"}
    applied = {
        "sourceRef": {"kind": "GitRepository", "name": RELEASE}, "path": f"./{Path(DEPLOYED).parent}",
        "targetNamespace": NAMESPACE, "prune": True, "interval": "10m", "retryInterval": "10s",
    }  # fmt: skip
    return [
        {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": metadata, "spec": source},
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
            "spec": applied,
        },
    ]  # fmt: skip


def apply_by_kubectl(stack: Stack, repository: GitRepository) -> None:
    """Apply the commit's objects by kubectl, from the repository."""
    stack.kubectl.apply(repository.read(DEPLOYED), "-n", NAMESPACE)


def prometheus(stack: Stack, node: Node) -> str:
    """Run a Prometheus with the chart's alerts that scrapes what `watch_pods` lists, and return its address."""
    files = folder(node) / "prometheus"
    files.mkdir(parents=True, exist_ok=True)
    (files / RULES).write_text(alert_rules(stack))
    (files / "prometheus.yaml").write_text(json.dumps(scraping(files), indent=1))
    listen = f"{node.address}:{PROMETHEUS_PORT}"
    command = [str(monitoring_tools() / "prometheus"), f"--config.file={files / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={files / 'data'}", f"--web.listen-address={listen}"]
    ensure_process(node, "prometheus", command, port=PROMETHEUS_PORT, path="-/ready")
    return f"http://{listen}"


def watch_pods(stack: Stack, node: Node) -> list[str]:
    """List the pods with metrics for Prometheus, which reads the file again as it changes; return their names."""
    found = targets(stack.kubectl.get("pods", "-n", NAMESPACE)["items"])
    new = folder(node) / "prometheus" / f"{TARGETS}.new"
    new.write_text(json.dumps(found, indent=1))
    new.rename(new.with_suffix(""))
    return [each["labels"]["pod"] for each in found]


def alert_rules(stack: Stack) -> str:
    """Return the alerts of the operator's chart as a file of rules: what its PrometheusRule has as its spec."""
    chosen = ("--set", "metrics.prometheusRule.enabled=true", "--show-only", "templates/prometheusrule.yaml")
    rendered = stack.run_helm("template", "bitagent-operator", str(OPERATOR_CHART), "-n", NAMESPACE, *chosen)
    return dedent(rendered.partition("\nspec:\n")[2])


def scraping(files: Path) -> dict[str, Any]:
    """Return Prometheus's configuration. Debian's has no discovery by an API server: a file lists the pods."""
    job = {"job_name": "bitagent", "file_sd_configs": [{"files": [str(files / TARGETS)], "refresh_interval": "5s"}]}
    times = {"scrape_interval": "2s", "evaluation_interval": "5s"}
    return {"global": times, "rule_files": [str(files / RULES)], "scrape_configs": [job]}


def targets(pods: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what to scrape: the running pods that have a port `metrics`."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]},
        }
        for pod in pods
        if pod["status"].get("phase") == "Running" and "podIP" in pod["status"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
        if port.get("name") == "metrics"
    ]


def wait_rounds(stack: Stack, node: Node) -> list[Row]:
    """Wait until each Validator has a complete round, and the weights of those that send some are on the chain.

    Meanwhile Prometheus gets to know their pods. Raises ClusterError, with how far each is, if that takes too long.
    """
    seen: list[Row] = []

    def look() -> list[Row] | None:
        watch_pods(stack, node)
        seen[:] = rows(objects(stack, "validators"), objects(stack, "evalrounds"))
        return seen if len(seen) == len(VALIDATORS) and all(finished(row) for row in seen) else None

    try:
        return wait_until(look, seconds=WAIT_SECONDS, what="a round and weights of each Validator", pace=2)
    except ClusterError as error:
        raise ClusterError(f"{error}\n{table(seen)}") from error


def objects(stack: Stack, plural: str) -> list[dict[str, Any]]:
    """Return the objects of a kind in the demo's namespace."""
    found: list[dict[str, Any]] = stack.kubectl.get(f"{plural}.bitagent.io", "-n", NAMESPACE)["items"]
    return found


def rows(validators: Sequence[Mapping[str, Any]], rounds: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each Validator of the fleet, with its newest round."""
    return [_row(each, rounds) for each in validators if each["metadata"]["name"] in VALIDATORS]


def _row(validator: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> Row:
    name = str(validator["metadata"]["name"])
    own = [each for each in rounds if each["metadata"].get("labels", {}).get("bitagent.io/validator") == name]
    newest = max(own, key=lambda each: int(each["metadata"]["labels"]["bitagent.io/epoch"]), default=None)
    status = (newest or {}).get("status", {})
    conditions = {each["type"]: each for each in validator.get("status", {}).get("conditions", ())}
    return Row(
        validator=name,
        mode=str(validator["spec"].get("weights", {}).get("mode", "Set")),
        round=str(newest["metadata"]["name"]) if newest else "",
        phase=str(status.get("phase", "Pending")),
        best=str(status.get("best", "")),
        weights=str(conditions.get("WeightsCurrent", {}).get("reason", "")),
    )


def finished(row: Row) -> bool:
    """Whether the row's round is complete and, in mode Set, its weights are set."""
    return row.phase == "Complete" and (row.mode != "Set" or row.weights == "WeightsSet")


def table(found: Sequence[Row]) -> str:
    """Return the rows as a text with columns."""
    cells = [("VALIDATOR", "MODE", "ROUND", "PHASE", "BEST", "WEIGHTS")]
    cells += [(row.validator, row.mode, row.round, row.phase, row.best, row.weights) for row in found]
    wide = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  " + "  ".join(f"{text:<{width}}" for text, width in zip(line, wide, strict=True)).rstrip() for line in cells
    )
