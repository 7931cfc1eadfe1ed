"""Objects of the three kinds for the tests and the benchmark of the public page, as an API server sends them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

API = "bitagent.io/v1alpha1"
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
SEED = "seed-7f3a91c2"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def at(minutes: float) -> str:
    return f"{BEGIN + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def uid(*parts: object) -> str:
    digits = hashlib.sha256(repr(parts).encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def digest(*parts: object) -> str:
    return f"sha256:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def hotkey(number: int) -> str:
    numbers = hashlib.sha512(str(number).encode()).digest()
    return "5" + "".join(ALPHABET[each % len(ALPHABET)] for each in numbers[:47])


def commit(number: int) -> str:
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


def condition(kind: str, reason: str, status: str = "True", message: str = "") -> Obj:
    head = {"type": kind, "status": status, "reason": reason, "message": message}
    return head | {"observedGeneration": 1, "lastTransitionTime": at(0)}


def obj(kind: str, name: str, spec: Obj, status: Obj | None = None, *, version: int = 1, **metadata: Any) -> Obj:
    head = {"name": name, "namespace": "bitagent", "uid": uid(kind, name), "resourceVersion": str(version)}
    head |= {"generation": 1, "creationTimestamp": at(0)} | metadata
    return {"apiVersion": API, "kind": kind, "metadata": head, "spec": spec} | ({"status": status} if status else {})


def model(number: int, name: str | None = None, *, committed: bool = True, **status: Any) -> Obj:
    miner: Obj = {"hotkey": hotkey(number)} | ({"commitBlock": 1000 + number} if committed else {})
    source = {"huggingFace": {"repo": f"miner-{number}/model", "revision": commit(number) if committed else "main"}}
    facts = {"commit": commit(number), "sizeBytes": 10**9, "parameters": 494_000_000, "at": at(0)}
    facts |= {"architecture": "Qwen2ForCausalLM", "license": "apache-2.0"}
    found: Obj = {"resolved": facts, "conditions": [condition("Ready", "Fetched")]} | status
    return obj("MinerModel", name or f"model-{number}", {"source": source, "miner": miner}, found)


def key(number: int) -> str:
    return f"{number:012x}"


def scored(number: int, score: float, rank: int, **more: Any) -> Obj:
    result = {"model": f"model-{number}", "modelUid": uid("MinerModel", f"model-{number}"), "state": "Succeeded"}
    result |= {"reason": "Evaluated", "message": f"node-secret says {number}", "hotkey": hotkey(number)}
    result |= {"commit": commit(number), "repo": f"miner-{number}/model", "score": f"{score:.6f}", "rank": rank}
    result |= {"passed": round(400 * score), "key": key(number), "node": "node-secret", "commitBlock": 1000 + number}
    result |= {"resultDigest": digest("result", number), "promptFormat": "Auto", "answerSketch": "SKETCH"}
    return result | more


def refused(number: int, state: str = "Rejected", reason: str = "CustomCode", **more: Any) -> Obj:
    head = {"model": f"model-{number}", "state": state, "reason": reason, "message": "a task's own words"}
    return head | {"hotkey": hotkey(number)} | more


def pending(number: int, done: int = 0, total: int = 0, **more: Any) -> Obj:
    result = {"model": f"model-{number}", "state": "Running" if total else "Pending", "hotkey": hotkey(number)}
    result |= {"reason": "Evaluating" if total else "WaitingForSlot", "message": "node-secret"}
    progress = {"phase": "Generating", "done": done, "total": total, "tokensPerSecond": 12}
    return result | ({"progress": progress} if total else {}) | more


def round_(
    name: str,
    results: list[Obj],
    *,
    phase: str = "Complete",
    epoch: int | None = 0,
    validator: str | None = "demo",
    competition: str = "tools",
    end: float = 60,
    tasks: Obj | None = None,
    version: int = 1,
    scorer: str = "Bfcl",
    **status: Any,
) -> Obj:
    """Make a round; `end` is in minutes."""
    labels = {"bitagent.io/validator": validator, "bitagent.io/competition": competition} if validator else {}
    labels |= {"bitagent.io/epoch": str(epoch)} if validator and epoch is not None else {}
    given = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 400, "seed": f"{SEED}-{name}"}
    spec = {"models": {"matchLabels": {}}, "evaluation": {"scorer": scorer}, "tasks": given | (tasks or {})}
    conditions = {
        "Complete": [condition("Complete", "RoundComplete"), condition("Ready", "RoundComplete")],
        "Failed": [condition("Failed", "InfrastructureFaults"), condition("Ready", "InfrastructureFaults", "False")],
        "Running": [condition("Running", "RoundRunning"), condition("Ready", "RoundRunning", "False")],
        "Preparing": [condition("Ready", "BuildingTasks", "False")],
    }[phase]
    found: Obj = {
        "phase": phase,
        "results": results,
        "conditions": conditions,
        "startedAt": at(end - 30),
        "taskSet": {
            "digest": digest("tasks", name),
            "count": 400,
            "uri": "pvc://secret-claim/x",
            "baseline": "0.250000",
        },
        "artifacts": "pvc://secret-claim/rounds/x",
        "image": "registry.internal:5000/bitagent/evaluator@sha256:" + "a" * 64,
        "counts": {"selected": len(results), "running": 1},
    }
    if phase in ("Complete", "Failed"):
        found |= {"finishedAt": at(end), "leaderboardDigest": digest("ranking", name)}
    if phase == "Running":
        found["estimate"] = {"percent": 40, "end": at(end), "text": "40 %", "at": at(end - 1)}
    made = at(end - 31)
    return obj("EvalRound", name, spec, found | status, labels=labels, creationTimestamp=made, version=version)


def validator(
    name: str = "demo",
    *,
    weights: dict[int, str] | None = None,
    rounds: list[str] | None = None,
    reason: str = "WeightsSet",
    unpaid: list[Obj] | None = None,
    online: list[Obj] | None = None,
    version: int = 1,
) -> Obj:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 400}
    round_spec = {"models": {"matchLabels": {}}, "tasks": tasks}
    competition = {"id": "tools", "schedule": {"everyBlocks": 360}, "round": round_spec}
    spec = {
        "netuid": 20,
        "chain": {"endpoints": ["wss://chain.internal:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "secret-wallet", "key": "hotkey"}},
        "competitions": [competition],
    }
    status: Obj = {
        "hotkey": hotkey(10_000),
        "uid": 3,
        "block": 7200,
        "message": "connected to wss://chain.internal:9944",
        "conditions": [condition("WeightsCurrent", reason, "True" if reason == "WeightsSet" else "False")],
        "weights": [{"hotkey": hotkey(number), "weight": weight} for number, weight in (weights or {}).items()],
        "unpaid": unpaid or [],
        "online": online or [],
    }
    if rounds:
        last = {"block": 7100, "at": at(70), "rounds": rounds, "digest": digest("row"), "extrinsic": "7100-2"}
        status["lastWeights"] = last | {"hotkeys": len(weights or {})}
    return obj("Validator", name, spec, status, version=version)


def asked(number: int, outcome: str = "Scored", **more: Any) -> Obj:
    """What became of one miner in a step of online evaluation."""
    return {"hotkey": hotkey(number), "outcome": outcome, "message": "node-secret answered"} | more


def step(*results: Obj, competition: str = "tools", block: int = 7175) -> Obj:
    """The last step of online evaluation of a competition."""
    return {
        "competition": competition,
        "block": block,
        "pool": "demo-tools-pool",
        "miners": 9,
        "results": list(results),
    }


def manifest(number: int, score: float, *, half: float = 0.04, categories: dict[str, float] | None = None) -> bytes:
    """Content of manifest.json of a result, with a URL that must not be shown."""
    parts = {
        name: {"passed": round(100 * each), "total": 100, "score": f"{each:.6f}"}
        for name, each in (categories or {"simple_python": score, "irrelevance": score}).items()
    }
    low, high = max(0.0, score - half), min(1.0, score + half)
    content = {
        "schema_version": 1,
        "repo": f"miner-{number}/model",
        "commit": commit(number),
        "weights_digest": digest("weights", number),
        "task_set_digest": digest("tasks"),
        "prompt_format": "Bfcl",
        "max_tokens": 256,
        "engine": {"url": "http://internal-engine:8000"},
        "packages": {"vllm": "1"},
        "device": "node-secret",
        "dtype": "bfloat16",
        "responses_digest": digest("r"),
        "verdicts_digest": digest("v"),
        "score": f"{score:.6f}",
        "interval": [f"{low:.6f}", f"{high:.6f}"],
        "passed": round(400 * score),
        "total": 400,
        "categories": parts,
        "leaderboard": {"Non-Live AST Acc": f"{score:.6f}"},
    }
    return json.dumps(content).encode()


def put_manifest(folder: Path, round_obj: Obj, number: int, content: bytes) -> None:
    """Write a manifest where an evaluation leaves it, and its digest into the round."""
    place = folder / "rounds" / round_obj["metadata"]["uid"] / "results" / key(number)
    place.mkdir(parents=True, exist_ok=True)
    (place / "manifest.json").write_bytes(content)
    for result in round_obj["status"]["results"]:
        if result.get("key") == key(number):
            result["resultDigest"] = f"sha256:{hashlib.sha256(content).hexdigest()}"


def demo(folder: Path | None = None) -> list[Obj]:
    """A board with three complete rounds, a failed one and one that runs; with manifests if there is a folder."""
    strengths = [0.81, 0.795, 0.79, 0.74, 0.61, 0.52, 0.515, 0.43, 0.31]
    rounds = []
    for epoch in range(3):
        drift = [
            round(each + 0.02 * ((number + 1) * (epoch + 2) * 3 % 5 - 2), 6) for number, each in enumerate(strengths)
        ]
        order = sorted(range(len(drift)), key=lambda number: -drift[number])
        results = [scored(number, drift[number], rank) for rank, number in enumerate(order, 1)]
        results += [
            refused(20),
            refused(21, "Duplicate", "DuplicateWeights", duplicateOf="model-0"),
            {**refused(22, "ModelFault", "ModelLoadFailed"), "score": "0.000000", "rank": len(order) + 1},
        ]
        results[3]["nearCopyOf"] = "model-1"
        results[3]["evidence"] = {"weights": "0.987654", "answers": "0.912345"}
        made = round_(f"demo-tools-{epoch}", results, epoch=epoch, end=60 * (epoch + 1))
        if folder is not None:
            for number in order:
                put_manifest(folder, made, number, manifest(number, drift[number]))
        rounds.append(made)
    running = [pending(0, 380, 400), pending(1, 120, 400), pending(2), pending(3), refused(20)]
    rounds += [
        round_("demo-tools-3", running, phase="Running", epoch=3, end=240),
        round_("by-hand", [scored(0, 0.7, 1)], phase="Failed", validator=None, end=100),
    ]
    models = [model(number) for number in (*range(9), 20, 21, 22)]
    weights = {0: "0.40000000", 1: "0.30000000", 2: "0.20000000", 4: "0.10000000"}
    unpaid = [{"competition": "tools", "hotkey": hotkey(3), "reason": "NearCopy"}]
    answers = step(
        asked(0, score="0.800000", mean="0.712500"),
        asked(1, score="1.000000", mean="0.913000"),
        asked(2, "Timeout", score="0.000000", mean="0.401000"),
        asked(30, "NotServing", score="0.000000"),
    )
    return [*models, *rounds, validator(weights=weights, rounds=["demo-tools-2"], unpaid=unpaid, online=[answers])]
