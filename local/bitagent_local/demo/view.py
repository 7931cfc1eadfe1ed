"""Tables of observed objects, as pure functions, for the live screen and for `make demo-status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Object = Mapping[str, Any]
_COLOURS = {"True": "green", "False": "red", "Unknown": "yellow"}


@dataclass(frozen=True)
class World:
    """The objects of the demo at one time."""

    models: Sequence[Object] = ()
    rounds: Sequence[Object] = ()
    validators: Sequence[Object] = ()
    jobs: Sequence[Object] = ()


def condition(obj: Object, kind: str) -> Mapping[str, Any]:
    """Return the condition of that type, or one with status Unknown."""
    for each in obj.get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            return dict(each)
    return {"type": kind, "status": "Unknown", "reason": "Pending", "message": ""}


def name_of(obj: Object) -> str:
    """Return `metadata.name`."""
    return str(obj["metadata"]["name"])


def latest_round(world: World) -> Object | None:
    """Return the newest round, by creation time and name."""
    ordered = sorted(world.rounds, key=lambda r: (r["metadata"]["creationTimestamp"], name_of(r)))
    return ordered[-1] if ordered else None


def finished_round(world: World) -> Object | None:
    """Return the newest complete round."""
    done = [r for r in world.rounds if condition(r, "Complete")["status"] == "True"]
    return latest_round(World(rounds=done))


def models_table(world: World) -> Table:
    """Return all submissions with their conditions and their result in the last round."""
    table = Table(title="MinerModels", title_justify="left")
    for column in ("model", "repository", "safe", "fetched", "why", "score", "rank"):
        table.add_column(column)
    for model in sorted(world.models, key=name_of):
        safe, fetched = condition(model, "Safe"), condition(model, "Fetched")
        latest = model.get("status", {}).get("latest", {})
        table.add_row(
            name_of(model),
            model["spec"]["source"].get("huggingFace", {}).get("repo", "volume"),
            _status(safe),
            _status(fetched),
            str(fetched["reason"]),
            str(latest.get("score", "")),
            str(latest.get("rank", "")),
        )
    return table


def _status(found: Mapping[str, Any]) -> Text:
    return Text(str(found["status"]), style=_COLOURS[str(found["status"])])


def jobs_table(world: World) -> Table:
    """Return the Jobs that run or wait, and the number of those that have ended."""
    table = Table(title="Jobs", title_justify="left")
    for column in ("job", "what", "state"):
        table.add_column(column)
    ended = 0
    for job in sorted(world.jobs, key=name_of):
        state = job_state(job)
        if state in ("done", "failed"):
            ended += 1
            continue
        table.add_row(name_of(job), job["metadata"]["labels"].get("app.kubernetes.io/component", ""), state)
    table.caption = f"{ended} ended"
    return table


def job_state(job: Object) -> str:
    """Return `waiting`, `running`, `done` or `failed`."""
    status = job.get("status", {})
    held = {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"}
    if "Complete" in held:
        return "done"
    if "Failed" in held:
        return "failed"
    return "running" if status.get("active") else "waiting"


def leaderboard(round_: Object) -> Table:
    """Return a round's results in order of rank; unranked models follow, with the reason."""
    status = round_["status"]
    tasks = status["taskSet"]
    title = f"Leaderboard of {name_of(round_)}: {tasks['count']} tasks, task set {tasks['digest'][7:19]}"
    table = Table(title=title, title_justify="left")
    for column in ("rank", "model", "score", "passed", "state", "why", "load s", "answer s"):
        table.add_column(column)
    for result in sorted(status.get("results", ()), key=lambda r: (r.get("rank", 10**6), r["model"])):
        scored = result["state"] == "Succeeded"  # of others the seconds are not those of a whole evaluation
        seconds = result.get("seconds", {}) if scored else {}
        table.add_row(
            str(result.get("rank", "")),
            result["model"],
            str(result.get("score", "")),
            str(result.get("passed", "")),
            result["state"],
            result.get("duplicateOf", "") if result["state"] == "Duplicate" else _why(result),
            str(seconds.get("load", "")),
            str(seconds.get("generate", "")),
        )
    return table


def _why(result: Mapping[str, Any]) -> str:
    return "" if result["state"] == "Succeeded" else str(result.get("reason", ""))


def weights_table(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Table:
    """Return the weights as read back from the chain; `names` maps hotkeys to models."""
    table = Table(title="Weights on the chain, read back with the SDK", title_justify="left")
    for column in ("hotkey", "model", "uid", "weight"):
        table.add_column(column)
    for row in sorted(rows, key=lambda r: -float(r["weight"])):
        table.add_row(
            str(row["hotkey"]), names.get(str(row["hotkey"]), ""), str(row["uid"]), f"{float(row['weight']):.4f}"
        )
    return table


def hotkeys(world: World) -> dict[str, str]:
    """Return the names of models by hotkey."""
    return {m["spec"]["miner"]["hotkey"]: name_of(m) for m in world.models if "miner" in m["spec"]}


def round_line(world: World) -> Text:
    """Return one line about the newest round."""
    current = latest_round(world)
    if current is None:
        return Text("no round yet: the validator makes one at its next epoch", style="dim")
    status = current.get("status", {})
    phase, progress, best = status.get("phase", "Pending"), status.get("progress", ""), status.get("best", "")
    return Text(f"EvalRound {name_of(current)}: {phase} {progress} {best}", style="bold")


def validator_line(world: World) -> Text:
    """Return one line about each validator."""
    statuses = [(name_of(v), v.get("status", {})) for v in world.validators]
    lines = [
        f"Validator {name}: block {status.get('block', '-')}; {status.get('message', 'starting')}"
        for name, status in statuses
    ]
    return Text("\n".join(lines) or "no validator", style="bold")


def screen(world: World) -> RenderableType:
    """Return the whole live screen."""
    return Group(models_table(world), round_line(world), jobs_table(world), validator_line(world))
