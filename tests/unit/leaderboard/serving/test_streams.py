from __future__ import annotations

import json

import pytest

from bitagent_leaderboard.serving.streams import NAMES, Reader, Streams, TooManyReaders


def data(event: str) -> dict[str, object]:
    lines = event.splitlines()
    assert lines[0] == "event: change"
    found: dict[str, object] = json.loads(lines[1].removeprefix("data: "))
    return found


async def test_changes_are_put_together_until_they_are_taken() -> None:
    streams = Streams()
    reader = streams.join()
    streams.announce(["rounds/a"])
    streams.announce(["rounds/b", "rounds/a"])
    assert data(await reader.next(0.01)) == {"all": False, "names": ["rounds/a", "rounds/b"]}
    assert await reader.next(0.01) == ": alive\n\n"


async def test_many_changes_are_all() -> None:
    reader = Reader()
    reader.add(f"models/{number}" for number in range(NAMES + 1))
    assert data(await reader.next(0.01)) == {"all": True, "names": []}
    reader.add(["rounds/a"])
    assert data(await reader.next(0.01)) == {"all": False, "names": ["rounds/a"]}


async def test_readers_are_bounded() -> None:
    streams = Streams(1)
    reader = streams.join()
    with pytest.raises(TooManyReaders):
        streams.join()
    streams.leave(reader)
    streams.join()


async def test_all_streams_end() -> None:
    streams = Streams()
    reader = streams.join()
    streams.end()
    await reader.next(0.01)
    assert reader.ended


async def test_a_reader_of_a_folder_is_sent_what_changes_in_it() -> None:
    streams = Streams()
    inside, all_of_them = streams.join("namespaces/a/"), streams.join()
    streams.announce(["namespaces/b/rounds/x"])
    assert await inside.next(0.01) == ": alive\n\n"
    streams.announce(["namespaces/a/rounds/y"])
    assert data(await inside.next(0.01))["names"] == ["rounds/y"]
    assert data(await all_of_them.next(0.01))["names"] == ["namespaces/a/rounds/y", "namespaces/b/rounds/x"]
