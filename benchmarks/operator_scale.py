"""What the operator needs for 10,000 fetched MinerModels: seconds until it is in sync, memory, and the CPU of rest.

    python benchmarks/operator_scale.py [--models N] [--namespaces N] [--code FOLDER=NAME ...] [--out FILE]

A real etcd and kube-apiserver; the operator is a process of its own. `--code` also measures the operator of another
checkout, on the same objects in the same run; `--namespaces` shares them out between so many. Seconds are from the
start of the process; memory is its resident set.
Writes operator_scale.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from machine import described

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.control_plane import control_plane
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.inputs import Pass, Settings
from bitagent_operator.plan.models.model import plan
from bitagent_operator.plan.readiness import with_readiness

ROOT = Path(__file__).parents[1]
GROUP = "/apis/bitagent.io/v1alpha1"
CONFIG = {
    "namespace": "default",
    "images": {"evaluator": "example/evaluator:1", "validator": "example/validator:1"},
    "cache": {"claimName": "cache"},
    "artifacts": {"claimName": "artifacts"},
    "healthPort": 0,
    "metricsPort": 0,
    "modelsPerHotkey": 0,
}
PACKAGES = ("crds", "kube", "operator", "evaluator", "validator")
AT = "2026-11-30T10:16:40Z"


def model(i: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a MinerModel and the status of one that is fetched, as the operator writes it."""
    name, hotkey, commit = f"miner-{i}", "5" + f"{i + 10_000:047d}".replace("0", "A"), f"{i:040x}"

    def condition(kind: str, reason: str, status: str = "True") -> dict[str, Any]:
        found = {"type": kind, "status": status, "reason": reason, "message": ""}
        return found | {"observedGeneration": 1, "lastTransitionTime": AT}

    def digest(n: int) -> str:
        return f"sha256:{7 * i + n:064x}"

    source = {"huggingFace": {"repo": f"org-{i}/{name}", "revision": commit}}
    metadata = {"name": name, "labels": {"bitagent.io/subnet": "20", "bitagent.io/hotkey": hotkey[:48]}}
    spec = {"source": source, "miner": {"hotkey": hotkey, "commitBlock": 1000 + i}}
    memory = {"numbers": 8_030_261_248, "cacheNumbers": 65_536, "layerWidth": 18_432, "vocabulary": 128_256}
    facts = {"commit": commit, "sizeBytes": 16_060_522_496, "parameters": 8_030_261_248, "license": "mit"}
    facts |= {"architecture": "LlamaForCausalLM", "weightsDigest": digest(1), "modelDigest": digest(2), "at": AT}
    facts |= {"tokenizerDigest": digest(3), "engineShape": "e" * 16, "memory": memory | {"positions": 131_072}}
    conditions = [condition("Ready", "Fetched"), condition("Resolved", "Resolved"), condition("Safe", "Safe")]
    status = {"observedGeneration": 1, "resolved": facts, "shortCommit": commit[:12]}
    status |= {"conditions": [*conditions, condition("Fetched", "Fetched")]}
    head = {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "metadata": metadata}
    return head | {"spec": spec}, status


def create(api: Api, i: int, namespace: str) -> None:
    """Store one, with the status that the operator would write at once."""
    obj, status = model(i)
    path = f"{GROUP}/namespaces/{namespace}/minermodels"
    observed = ModelObject.parse(api.create(path, obj) | {"status": status})
    inputs = Pass(now=datetime.now(UTC), settings=Settings("artifacts", timedelta(minutes=5)))
    planned = plan(observed, jobs=[], pods=[], rounds=[], pass_=inputs).status
    final = with_readiness(planned, generation=observed.meta.generation, now=inputs.now)
    api.merge(f"{path}/{observed.meta.name}/status", {"status": final.to_wire()})


def resident(pid: int) -> int:
    """Return the resident set in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_seconds(pid: int) -> float:
    """Return the seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    code: Path, kubeconfig: Path, folder: Path, *, rest: float, namespaces: Sequence[str] = ("default",)
) -> dict[str, float]:
    """Start an operator, wait until it is in sync and has nothing left to do, and watch it rest."""
    config, log = folder / "config.yaml", folder / "log"
    packages = [str(code / package) for package in PACKAGES]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *packages], check=True)  # as in the image
    several = {"watch": {"namespaces": list(namespaces)}} if len(namespaces) > 1 else {}
    config.write_text(yaml.safe_dump(CONFIG | several))
    log.write_text("")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(packages),
        "KUBECONFIG": str(kubeconfig),
        "BITAGENT_CONFIG": str(config),
    }
    command = [sys.executable, "-m", "bitagent_operator"]
    began = time.monotonic()
    with log.open("ab") as sink, subprocess.Popen(command, env=environment, stdout=sink, stderr=sink) as process:
        try:
            while (text := log.read_text()).count("in sync") < len(namespaces):
                if process.poll() is not None or time.monotonic() - began > 300:
                    raise SystemExit(f"it is not in sync:\n{text[-3000:]}")
                time.sleep(0.05)
            found = {"inSyncSeconds": time.monotonic() - began, "inSyncCpu": processor_seconds(process.pid)}
            found["inSyncMegabytes"] = resident(process.pid) / 1e6
            quiet = peak = before = 0.0
            while quiet < 5:  # the queue is empty and kopf's own lists are over
                time.sleep(1)
                now = processor_seconds(process.pid)
                peak, quiet, before = max(peak, resident(process.pid)), quiet + 1 if now - before < 0.05 else 0, now
            found |= {"settledCpu": before, "peakMegabytes": peak / 1e6}
            time.sleep(rest)
            found["restMegabytes"] = resident(process.pid) / 1e6
            found["restPercentOfOneCore"] = 100 * (processor_seconds(process.pid) - before) / rest
        finally:
            process.kill()
    return {name: round(value, 2) for name, value in found.items()}


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--namespaces", type=int, default=1)
    parser.add_argument("--rest", type=float, default=30.0, help="seconds of rest")
    parser.add_argument("--code", action="append", default=[], metavar="FOLDER=NAME")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    measured: dict[str, dict[str, float]] = {}
    with control_plane() as plane, tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            plane.api.create(path, yaml.safe_load(render(kind)))
        while True:
            try:
                plane.api.get(f"{GROUP}/minermodels")
                break
            except ApiError:
                time.sleep(0.2)
        namespaces = ["default", *(f"n{i}" for i in range(1, options.namespaces))]
        for name in namespaces[1:]:
            plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        with ThreadPoolExecutor(8) as pool:
            place = lambda i: create(plane.api, i, namespaces[i % len(namespaces)])  # noqa: E731
            list(pool.map(place, range(options.models)))
        for name, code in [("this", ROOT), *((n, Path(f)) for f, _, n in (c.partition("=") for c in options.code))]:
            given = {"rest": options.rest, "namespaces": namespaces}
            measured[name] = measure(code, plane.kubeconfig, Path(folder), **given)
            sys.stdout.write(f"{name}: {measured[name]}\n")
            sys.stdout.flush()
    of = {"models": options.models, "namespaces": options.namespaces}
    result = {"machine": described("bitagent", "kopf", "pydantic"), **of, "measured": measured}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
