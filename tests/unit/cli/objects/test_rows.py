"""Tables of models, rounds and leaderboards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_cli.objects.rows import last_round, leaderboard, models, origin, ranked, rounds
from bitagent_cli.output.tables import Table

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
META = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}


def row(table: Table, number: int = 0) -> dict[str, str]:
    return dict(zip((column.title for column in table.columns), table.rows[number], strict=True))


def test_a_model() -> None:
    status = {
        "shortCommit": "abc",
        "latest": {"score": "0.500000", "rank": 2, "round": "r"},
        "resolved": {"parameters": 7},
        "conditions": [{"type": "Safe", "status": "True"}, {"type": "Ready", "status": "False", "reason": "CacheFull"}],
    }
    spec = {"source": {"huggingFace": {"repo": "a/b", "revision": "v2"}}, "miner": {"hotkey": "5C"}}
    found = row(models([{"metadata": META, "spec": spec, "status": status}], now=NOW))
    assert found == {
        "NAME": "x", "REPO": "a/b@v2", "SAFE": "True", "FETCHED": "", "REASON": "CacheFull", "SCORE": "0.500000",
        "RANK": "2", "AGE": "1h", "ROUND": "r", "COMMIT": "abc", "PARAMETERS": "7", "HOTKEY": "5C",
    }  # fmt: skip


def test_a_round_in_all_namespaces() -> None:
    meta = META | {"labels": {"bitagent.io/validator": "v", "bitagent.io/competition": "c", "bitagent.io/epoch": "3"}}
    status = {"phase": "Running", "progress": "1/2", "gpuSeconds": {"held": 5400}, "counts": {"rejected": 1}}
    table = rounds([{"metadata": meta, "status": status}], now=NOW, namespaces=True)
    found = row(table)
    assert (found["NAMESPACE"], found["PHASE"], found["DONE"], found["GPU-HOURS"]) == ("ns", "Running", "1/2", "1.50")
    assert (found["VALIDATOR"], found["COMPETITION"], found["EPOCH"], found["REJECTED"]) == ("v", "c", "3", "1")
    assert "VALIDATOR" not in [column.title for column in table.narrow(wide=False).columns]


def test_an_object_without_a_status() -> None:
    assert row(rounds([{"metadata": META}], now=NOW))["PHASE"] == ""
    assert row(models([{"metadata": META, "spec": {}}], now=NOW))["REPO"] == ""


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param({"huggingFace": {"repo": "a/b", "revision": "main"}}, "a/b", id="the usual revision"),
        pytest.param({"huggingFace": {"repo": "a/b", "revision": "f" * 40}}, f"a/b@{'f' * 12}", id="commit"),
        pytest.param({"volume": {"claimName": "c", "path": "p"}}, "c:p", id="volume"),
        pytest.param({}, "", id="of a later version"),
    ],
)
def test_origin(source: dict[str, Any], text: str) -> None:
    assert origin({"source": source}) == text


RESULTS = [
    {"model": "late", "state": "Rejected", "reason": "NoSafetensors"},
    {"model": "second", "state": "Succeeded", "score": "0.400000", "rank": 2, "passed": 4},
    {"model": "first", "state": "Succeeded", "score": "0.500000", "rank": 1, "passed": 5, "nearCopyOf": "second"},
    {"model": "copy", "state": "Duplicate", "reason": "DuplicateWeights", "duplicateOf": "first"},
    {"model": "running", "state": "Running", "reason": "Evaluating", "score": "0.900000"},
]


def test_a_leaderboard() -> None:
    table = leaderboard({"metadata": META, "status": {"results": RESULTS}})
    names = [row(table, i)["MODEL"] for i in range(5)]
    assert names == ["first", "second", "running", "copy", "late"]
    assert [row(table, i)["WHY"] for i in range(5)] == [
        "near copy of second", "", "Evaluating", "of first", "NoSafetensors",
    ]  # fmt: skip
    assert row(table)["PASSED"] == "5"


def test_losses_have_a_column() -> None:
    results = [{"model": "a", "loss": "2.0", "score": "0.1"}, {"model": "b", "loss": "1.0", "score": "0.2"}]
    table = leaderboard({"metadata": META, "status": {"results": results}})
    assert [row(table, i)["LOSS"] for i in range(2)] == ["1.0", "2.0"]
    assert "PASSED" not in [column.title for column in table.columns]
    assert [r["model"] for r in ranked(results)] == ["b", "a"]


def made(name: str, *, complete: bool, at: str = "", competition: str = "c", results: bool = True) -> dict[str, Any]:
    meta = {"name": name, "creationTimestamp": at, "labels": {"bitagent.io/competition": competition}}
    conditions = [{"type": "Complete", "status": "True" if complete else "False"}]
    return {"metadata": meta, "status": {"results": RESULTS * results, "finishedAt": at, "conditions": conditions}}


@pytest.mark.parametrize(
    ("objects", "competition", "expected"),
    [
        pytest.param([], "", None, id="none"),
        pytest.param([made("a", complete=True, at="1"), made("b", complete=True, at="2")], "", "b", id="the newest"),
        pytest.param(
            [made("a", complete=True, at="1"), made("b", complete=False, at="2")], "", "a", id="complete first"
        ),
        pytest.param([made("b", complete=False, at="2")], "", "b", id="one that runs"),
        pytest.param([made("b", complete=False, results=False)], "", None, id="none has results"),
        pytest.param([made("a", complete=True, competition="d")], "c", None, id="another competition"),
    ],
)
def test_the_last_round(objects: list[dict[str, Any]], competition: str, expected: str | None) -> None:
    found = last_round(objects, competition=competition)
    assert (found["metadata"]["name"] if found else None) == expected
