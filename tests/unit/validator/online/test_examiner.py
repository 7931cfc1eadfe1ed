"""The client of the examiner's socket: what is asked, and what becomes of an examiner that misbehaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.examiner import Examiner as Fake
from tests.examiner import listening

from bitagent_crds.examiner import MAX_ANSWER, ExaminerReason, Pool
from bitagent_validator.online.examiner import Examiner, ExaminerLost, ExaminerRefused

POOL = Pool(round_uid="u-1", digest="sha256:" + "a" * 64)


async def test_a_task_and_a_verdict(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", Fake()) as fake:
        client = Examiner(tmp_path / "s")
        task = await client.task(POOL, seed="abcdefghij")
        verdict = await client.score(POOL, task=task.id, answer="half")
        await client.close()
    assert (task.id, verdict.score) == ("task-abcdefgh", 0.5)
    assert fake.tasks[0].pool == fake.scores[0].pool == POOL


async def test_an_answer_is_cut_to_what_a_request_holds(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", Fake()) as fake:
        client = Examiner(tmp_path / "s")
        await client.score(POOL, task="t", answer="\ud800" + "\n" * MAX_ANSWER * 2)
        await client.close()
    assert len(fake.scores[0].answer) == MAX_ANSWER


async def test_a_refusal_has_its_reason_and_keeps_the_connection(tmp_path: Path) -> None:
    fake = Fake(refuses={"u-1": ExaminerReason.POOL_CHANGED})
    async with listening(tmp_path / "s", fake):
        client = Examiner(tmp_path / "s")
        with pytest.raises(ExaminerRefused) as caught:
            await client.task(POOL, seed="s")
        streams = client._streams
        assert (await client.score(POOL, task="t", answer="right")).score == 1
        assert client._streams is streams
        await client.close()
    assert caught.value.reason is ExaminerReason.POOL_CHANGED


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="the connection ends"),
        pytest.param(b"no json\n", id="no JSON"),
        pytest.param(b'{"task": ', id="half a line"),
        pytest.param(b'{"verdict": {"points": 1, "maximum": 1, "score": 7}}\n', id="a score of 7"),
        pytest.param(b'{"verdict": {"points": 1, "maximum": 1, "score": 1}}\n', id="another message"),
        pytest.param(b"x" * (3 << 20) + b"\n", id="3 MiB"),
    ],
)
async def test_what_is_no_reply_loses_the_examiner_until_it_behaves(tmp_path: Path, raw: bytes) -> None:
    fake = Fake(raw=raw)
    async with listening(tmp_path / "s", fake):
        client = Examiner(tmp_path / "s", reply_seconds=0.5 if raw.startswith(b'{"task') else 30)
        with pytest.raises(ExaminerLost):
            await client.task(POOL, seed="s")
        fake.raw = None
        assert (await client.task(POOL, seed="s" * 8)).id == "task-ssssssss", "not the rest of the reply before"
        await client.close()


async def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(ExaminerLost, match=r"sock: No such file or directory"):
        await Examiner(tmp_path / "sock").task(POOL, seed="s")


async def test_a_request_that_is_cancelled_leaves_no_reply_behind(tmp_path: Path) -> None:
    fake = Fake(raw=b'{"task": ')
    async with listening(tmp_path / "s", fake):
        client = Examiner(tmp_path / "s")
        asking = asyncio.create_task(client.task(POOL, seed="s"))
        await asyncio.wait_for(fake.asked.wait(), 60)
        asking.cancel()
        await asyncio.wait([asking])
        assert client._streams is None
