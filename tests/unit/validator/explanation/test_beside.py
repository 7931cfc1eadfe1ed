"""What the doctor finds beside the validator: the examiner, and shared keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.examiner import ExaminerError, ExaminerReason, ExaminerReply, ExaminerRequest
from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.explanation import beside as module
from bitagent_validator.explanation.beside import look_beside

ONLINE = {"everyBlocks": 25}
KEYED = {"secretRef": {"name": "seeds", "key": "key"}, "sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10}


@pytest.fixture
def spec(competition: Callable[..., Any]) -> Callable[..., ValidatorSpec]:
    def make(**changes: Any) -> ValidatorSpec:
        wire = {
            "netuid": 20,
            "chain": {"endpoints": ["ws://one"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition(**changes).to_wire()],
        }
        return ValidatorSpec.model_validate(wire)

    return make


def refusal(reason: ExaminerReason) -> bytes:
    return ExaminerReply(error=ExaminerError(reason=reason, message="m")).line()


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        pytest.param(refusal(ExaminerReason.POOL_MISSING), True, id="it has no such task set"),
        pytest.param(refusal(ExaminerReason.INTERNAL), False, id="it fails"),
        pytest.param(b"{}\n", False, id="not a reply"),
        pytest.param(b"", False, id="it hangs up"),
        pytest.param(None, False, id="it answers nothing"),
    ],
)
async def test_the_examiner_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Any, reply: bytes | None, good: bool
) -> None:
    monkeypatch.setattr(module, "REPLY_SECONDS", 0.3 if reply is None else 30.0)
    asked: list[ExaminerRequest] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(ExaminerRequest.read(await reader.readline(), limit=1 << 20))
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
        writer.close()

    socket = tmp_path / "examiner.sock"
    async with await asyncio.start_unix_server(serve, socket):
        (finding,) = await look_beside(spec(online=ONLINE), {}, socket=socket, seeds=tmp_path / "none")
    assert (finding.good, len(asked)) == (good, 1)


async def test_an_examiner_that_does_not_listen(tmp_path: Path, spec: Any) -> None:
    (finding,) = await look_beside(spec(online=ONLINE), {}, socket=tmp_path / "none", seeds=tmp_path / "no")
    assert not finding.good
    assert "-c examiner" in finding.text


async def test_outside_of_the_pod_there_is_none_to_ask(tmp_path: Path, spec: Any) -> None:
    away = tmp_path / "none"
    (finding,) = await look_beside(spec(online=ONLINE), {}, socket=away / "examiner.sock", seeds=away)
    assert finding.good
    assert await look_beside(spec(), {}, socket=away / "examiner.sock", seeds=away) == []


@pytest.mark.parametrize(
    ("key", "good"), [(None, False), (b"short", False), (b"k" * 64, True)], ids=["missing", "short", "good"]
)
async def test_a_shared_key_is_read(tmp_path: Path, spec: Any, competition: Any, key: bytes | None, good: bool) -> None:
    if key is not None:
        (tmp_path / "fc").write_bytes(key)
    template = {"models": {"matchLabels": {}}, "tasks": KEYED}
    (finding,) = await look_beside(spec(round=template), {}, socket=tmp_path / "s", seeds=tmp_path)
    assert finding.good is good
    assert await look_beside(spec(), {}, socket=tmp_path / "s", seeds=tmp_path) == [], "no competition shares one"


@pytest.mark.parametrize(
    ("status", "good"), [("True", [True]), ("False", [False]), ("Unknown", [])], ids=["current", "not", "not known"]
)
async def test_the_condition_is_repeated(tmp_path: Path, spec: Any, status: str, good: list[bool]) -> None:
    condition = {
        "type": "OnlineCurrent",
        "status": status,
        "reason": "PoolPending",
        "message": "fc: built",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    found = await look_beside(
        spec(online=ONLINE), {"conditions": [condition]}, socket=tmp_path / "no" / "s", seeds=tmp_path / "no"
    )
    assert [each.good for each in found[1:]] == good
