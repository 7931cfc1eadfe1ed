"""Tables of models, rounds and leaderboards. Pure: objects as the API server sends them, and the time, give rows.

They are read as far as this version knows them; what a later version adds changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bitagent_cli.objects.ages import age
from bitagent_cli.output.tables import Column, Table
from bitagent_crds.names import COMPETITION_LABEL, EPOCH_LABEL, VALIDATOR_LABEL
from bitagent_kube.objects import Obj, parse_time

_NAMESPACE = Column("NAMESPACE")
_MODELS = (
    Column("NAME"), Column("REPO"), Column("SAFE"), Column("FETCHED"), Column("REASON"), Column("SCORE"),
    Column("RANK"), Column("AGE"), Column("ROUND", wide=True), Column("COMMIT", wide=True),
    Column("PARAMETERS", wide=True), Column("HOTKEY", wide=True),
)  # fmt: skip
_ROUNDS = (
    Column("NAME"), Column("PHASE"), Column("DONE"), Column("ESTIMATE"), Column("BEST"), Column("TASKS"),
    Column("REASON"), Column("AGE"), Column("VALIDATOR", wide=True), Column("COMPETITION", wide=True),
    Column("EPOCH", wide=True), Column("GPU-HOURS", wide=True), Column("REJECTED", wide=True),
    Column("FAULTS", wide=True),
)  # fmt: skip
_LEADERBOARD = (
    Column("RANK"), Column("MODEL"), Column("SCORE"), Column("PASSED"), Column("STATE"), Column("WHY"),
    Column("INTERVAL", wide=True), Column("HOTKEY", wide=True), Column("REPO", wide=True),
    Column("COMMIT", wide=True), Column("LOAD-S", wide=True), Column("ANSWER-S", wide=True), Column("KEY", wide=True),
)  # fmt: skip
_SHORT_COMMIT = 12


def models(objects: Iterable[Obj], *, now: datetime, namespaces: bool = False) -> Table:
    """Return a row for each MinerModel."""
    return _table(_MODELS, [(obj, _model(obj, now)) for obj in objects], namespaces=namespaces)


def rounds(objects: Iterable[Obj], *, now: datetime, namespaces: bool = False) -> Table:
    """Return a row for each EvalRound."""
    return _table(_ROUNDS, [(obj, _round(obj, now)) for obj in objects], namespaces=namespaces)


def _table(columns: tuple[Column, ...], rows: Sequence[tuple[Obj, tuple[Any, ...]]], *, namespaces: bool) -> Table:
    if not namespaces:
        return Table(columns, tuple(_texts(row) for _, row in rows))
    named = tuple(_texts((obj["metadata"].get("namespace"), *row)) for obj, row in rows)
    return Table((_NAMESPACE, *columns), named)


def _texts(row: Iterable[Any]) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in row)


def _model(obj: Obj, now: datetime) -> tuple[Any, ...]:
    spec, status, meta = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    latest, resolved = status.get("latest") or {}, status.get("resolved") or {}
    return (
        meta["name"], origin(spec), condition(status, "Safe").get("status"), condition(status, "Fetched").get("status"),
        condition(status, "Ready").get("reason"), latest.get("score"), latest.get("rank"),
        age(parse_time(meta.get("creationTimestamp")), now), latest.get("round"), status.get("shortCommit"),
        resolved.get("parameters"), (spec.get("miner") or {}).get("hotkey"),
    )  # fmt: skip


def _round(obj: Obj, now: datetime) -> tuple[Any, ...]:
    status, meta = obj.get("status") or {}, obj["metadata"]
    labels, counts = meta.get("labels") or {}, status.get("counts") or {}
    held = (status.get("gpuSeconds") or {}).get("held")
    return (
        meta["name"], status.get("phase"), status.get("progress"), (status.get("estimate") or {}).get("text"),
        status.get("best"), (status.get("taskSet") or {}).get("count"), condition(status, "Ready").get("reason"),
        age(parse_time(meta.get("creationTimestamp")), now), labels.get(VALIDATOR_LABEL), labels.get(COMPETITION_LABEL),
        labels.get(EPOCH_LABEL), None if held is None else f"{held / 3600:.2f}", counts.get("rejected"),
        counts.get("infraFaults"),
    )  # fmt: skip


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return a condition of a status; an empty one if it has none of that type."""
    return next((c for c in status.get("conditions") or [] if c.get("type") == kind), {})


def origin(spec: Mapping[str, Any]) -> str:
    """Return the repository of a model, with its revision if that is not the usual one, or its path in a volume."""
    source = spec.get("source") or {}
    if hub := source.get("huggingFace"):
        revision = str(hub.get("revision") or "main")
        return str(hub.get("repo") or "") + ("" if revision == "main" else f"@{revision[:_SHORT_COMMIT]}")
    volume = source.get("volume") or {}
    return f"{volume.get('claimName', '')}:{volume.get('path', '')}" if volume else ""


def ranked(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return results in the order of their ranks; those without one last, those with a score first, by name."""

    def place(result: Mapping[str, Any]) -> tuple[Any, ...]:
        rank, score = result.get("rank"), result.get("score")
        order = float(result["loss"]) if result.get("loss") else -float(score or 0)
        return rank is None, rank or 0, score is None, order, str(result.get("model"))

    return sorted(results, key=place)


def leaderboard(obj: Obj) -> Table:
    """Return the ranking of a round, and after it the models without a rank; in a round of losses with their loss."""
    results = ranked((obj.get("status") or {}).get("results") or [])
    losses = any(result.get("loss") is not None for result in results)
    columns = tuple(Column("LOSS") if losses and each.title == "PASSED" else each for each in _LEADERBOARD)
    return Table(columns, tuple(_texts(_ranked_row(result, losses=losses)) for result in results))


def _ranked_row(result: Mapping[str, Any], *, losses: bool) -> tuple[Any, ...]:
    seconds = result.get("seconds") or {}
    return (
        result.get("rank"), result.get("model"), result.get("score"), result.get("loss" if losses else "passed"),
        result.get("state"), why(result), " to ".join(result.get("interval") or ()), result.get("hotkey"),
        result.get("repo"),
        str(result.get("commit") or "")[:_SHORT_COMMIT], seconds.get("load"), seconds.get("generate"),
        result.get("key"),
    )  # fmt: skip


def why(result: Mapping[str, Any]) -> str:
    """Return why a model has no score or a doubtful one: its reason, or the model that it is like."""
    if result.get("duplicateOf"):
        return f"of {result['duplicateOf']}"
    if result.get("nearCopyOf"):
        return f"near copy of {result['nearCopyOf']}"
    return "" if result.get("state") == "Succeeded" else str(result.get("reason") or "")


def last_round(objects: Iterable[Obj], *, competition: str = "") -> Obj | None:
    """Return the round whose ranking is the newest: the last complete one, or else the last with any results."""

    def chosen(obj: Obj) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return not competition or labels.get(COMPETITION_LABEL) == competition

    def order(obj: Obj) -> tuple[bool, str, str]:
        status = obj.get("status") or {}
        complete = condition(status, "Complete").get("status") == "True"
        return complete, str(status.get("finishedAt") or ""), str(obj["metadata"].get("creationTimestamp") or "")

    known = [obj for obj in objects if chosen(obj) and (obj.get("status") or {}).get("results")]
    return max(known, key=order, default=None)
