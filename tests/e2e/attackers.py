"""A round of honest models beside attackers: models of tests/attacks, on the cluster's hub, as MinerModels."""

from __future__ import annotations

import base64
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kit import Cluster, round_of

from bitagent_local.chain.keys import address
from bitagent_local.demo.stack import NAMESPACE, ROOT, WORLD_NAMESPACE
from bitagent_local.hub.pack import Content, HubSpec, RepositorySpec, pack

sys.path.insert(0, str(ROOT / "tests" / "attacks"))

from attack_models import copies, costs, losses, programs, tables
from attack_models.files import MODELS, read_weights, write_weights

from bitagent_crds.task_set import Task

Obj = dict[str, Any]

HONEST = ("tiny-fc-1200", "tiny-fc-250")
"""Models of the demo; copies are of the second."""
TASKS = 60
OWNER = "attackers"
COMMIT_BLOCK = 1000
"""Later than those of the honest models."""
_UNPACK = (
    "import base64, io, sys, tarfile; "
    "tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.stdin.read())), mode='r:gz').extractall('/tmp/hub')"
)


def _of_tasks(build: Callable[[Path, Sequence[Task]], Path]) -> Callable[[Path], Path]:
    """Return the builder of a model that knows the tasks of the round."""
    lines = (MODELS / "tasks.jsonl").read_text().splitlines()
    return lambda folder: build(folder, [Task.model_validate_json(line) for line in lines])


def _with_own_weights(build: Callable[[Path], Path], *, seed: int) -> Callable[[Path], Path]:
    """Return the builder of the same model with other weights: one with those of an honest model is a duplicate."""

    def built(folder: Path) -> Path:
        path = build(folder) / "model.safetensors"
        random = np.random.default_rng(seed)
        weights = {
            name: values + random.normal(0, 0.05 * values.std(), values.shape).astype(values.dtype)
            for name, values in read_weights(path).items()
        }
        write_weights(path, weights)
        return folder

    return built


ATTACKERS: Mapping[str, Callable[[Path], Path]] = {
    "attack-table": _of_tasks(tables.table),
    "attack-normalizer": _of_tasks(tables.table_in_normalizer),
    "attack-markers": _of_tasks(tables.table_in_markers),
    "attack-decoder": programs.editing_decoder,
    "attack-padded-loss": losses.padded_loss,
    "attack-silent": costs.silent,
    "attack-template": _with_own_weights(programs.knowing_template, seed=1),
    "attack-hungry": lambda folder: costs.hungry(folder, width=64, heads=2),
    "attack-shards": copies.two_shards,
    "attack-permuted": copies.permuted,
    "attack-endless": _with_own_weights(costs.endless, seed=2),
    "attack-long-prompts": _with_own_weights(costs.long_prompts, seed=3),
}


@dataclass(frozen=True)
class AttackedRound:
    """The same round twice."""

    honest: Obj
    """Of the honest models alone."""
    attacked: Obj
    """With all attackers."""


def publish(cluster: Cluster) -> dict[str, str]:
    """Put the attackers on the cluster's hub; return their commits."""
    with tempfile.TemporaryDirectory() as scratch:
        folders, root = Path(scratch) / "models", Path(scratch) / "hub"
        for name, build in ATTACKERS.items():
            build(folders / name)
        repositories = tuple(
            RepositorySpec(repo=f"{OWNER}/{name}", branches={"main": Content(model=name)}) for name in ATTACKERS
        )
        commits = pack(HubSpec(repositories=repositories), folders=folders, root=root)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
            archive.add(root / OWNER, arcname=OWNER, filter=_owned)
    cluster.stack.kubectl.run(
        "exec", "-i", "-n", WORLD_NAMESPACE, "deploy/hub", "--", "python", "-c", _UNPACK,
        stdin=base64.b64encode(packed.getvalue()).decode(),
    )  # fmt: skip
    return {name: commits[f"{OWNER}/{name}"] for name in ATTACKERS}


def _owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry, for the hub's user."""
    entry.uid = entry.gid = 65532
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def _submission(name: str, commit: str) -> Obj:
    return {
        "apiVersion": "bitagent.io/v1alpha1",
        "kind": "MinerModel",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "source": {"huggingFace": {"repo": f"{OWNER}/{name}", "revision": commit}},
            "miner": {"hotkey": address(f"//{name}"), "commitBlock": COMMIT_BLOCK},
            "engine": {"dtype": "Float32"},
        },
    }


def attacked_round(cluster: Cluster) -> AttackedRound:
    """Run the round with and without the attackers, side by side."""
    commits = publish(cluster)
    cluster.apply(*(_submission(name, commit) for name, commit in commits.items()))
    tasks = {
        "seed": "attacked",
        "count": TASKS,
        "sources": [{"jsonl": {"configMap": {"name": "demo-tasks", "key": "tasks.jsonl"}}}],
        "alterations": [{"toolShuffle": {}}],
    }
    evaluation = {"promptFormat": "ChatTemplate", "scorer": "Bfcl", "meanAnswerTokens": 48}
    rounds = {"honest-alone": list(HONEST), "honest-and-attackers": [*HONEST, *ATTACKERS]}
    cluster.apply(
        *(round_of(name, models=models, tasks=tasks, evaluation=evaluation) for name, models in rounds.items())
    )
    honest, attacked = (cluster.wait_round(name) for name in rounds)
    return AttackedRound(honest, attacked)
