"""Facts to decide on, as plain data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import RAO, Neuron, Rules, Subnet

RULES: dict[str, Any] = {
    "rate_limit": 100,
    "version_key": 0,
    "min_weights": 1,
    "max_weight": 65535,
    "commit_reveal": False,
    "stake_threshold": 0,
    "activity_cutoff": 5000,
}


@pytest.fixture
def policy_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a package of one module with one policy, for this process and those that it starts."""

    def install(code: str, *, policy: str = "Theirs", name: str = "theirs") -> None:
        folder = tmp_path / "packages"
        info = folder / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[bitagent.policies]\n{policy} = {name}:policy\n")
        (folder / f"{name}.py").write_text(code)
        before = os.environ.get("PYTHONPATH")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([before] if before else [])]))
        monkeypatch.syspath_prepend(str(folder))

    return install


@pytest.fixture(scope="session")
def competition() -> Callable[..., Competition]:
    """Make a competition; arguments change its spec."""

    def make(**changes: Any) -> Competition:
        template = {
            "models": {"matchLabels": {}},
            "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10},
        }
        wire = {"id": "fc", "schedule": {"everyBlocks": 100}, "round": template, "historyLimit": 2}
        return Competition.model_validate(wire | changes)

    return make


@pytest.fixture(scope="session")
def neuron() -> Callable[..., Neuron]:
    """Make a miner's neuron; arguments change it."""

    def make(hotkey: str, **changes: Any) -> Neuron:
        plain = {"uid": 1, "stake": 0, "permit": False, "registered_at": 10, "last_update": 10}
        return Neuron(hotkey=hotkey, **(plain | changes))

    return make


@pytest.fixture(scope="session")
def subnet(neuron: Callable[..., Neuron]) -> Callable[..., Subnet]:
    """Make a subnet at block 1000 with the validator "me" and miners "a" and "b"."""

    def make(*, me: dict[str, Any] | None = None, weights: dict[str, int] | None = None, **changes: Any) -> Subnet:
        rules = Rules(**(RULES | {k: changes.pop(k) for k in RULES if k in changes}))
        mine = {"uid": 0, "stake": 9000 * RAO, "permit": True, "registered_at": 5, "last_update": 500} | (me or {})
        neurons = [neuron("me", **mine), neuron("a", uid=1), neuron("b", uid=2)]
        by_hotkey = {n.hotkey: n for n in neurons}
        facts = {"netuid": 20, "block": 1000, "neurons": by_hotkey, "rules": rules, "hotkey": "me"}
        holders = changes.get("neurons", by_hotkey)
        row = {holders[h].uid: w for h, w in (weights or {}).items() if h in holders}
        return Subnet(**(facts | {"weights": weights or {}, "uid_weights": row} | changes))

    return make


@pytest.fixture(scope="session")
def eval_round() -> Callable[..., dict[str, Any]]:
    """Make round 7 of competition "fc" as the API server sends it, from its results and conditions."""

    def make(results: list[dict[str, Any]], **conditions: str) -> dict[str, Any]:
        tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10, "seed": "s"}
        labels = {"bitagent.io/validator": "val", "bitagent.io/competition": "fc", "bitagent.io/epoch": "7"}
        annotations = {"bitagent.io/epoch-block": "700"}
        since = {"reason": "RoundComplete", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        reported = [{"type": kind, "status": status, **since} for kind, status in conditions.items()]
        return {
            "metadata": {"name": "val-fc-7", "uid": "u", "labels": labels, "annotations": annotations},
            "spec": {"models": {"matchLabels": {}}, "tasks": tasks},
            "status": {"results": results, "conditions": reported},
        }

    return make
