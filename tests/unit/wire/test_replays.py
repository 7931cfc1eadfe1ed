from __future__ import annotations

from bitagent_wire.replays import MAXIMUM, PER_HOTKEY, ReplayMemory, Use


def test_a_nonce_is_used_once_until_it_is_not_recent_any_more() -> None:
    memory = ReplayMemory()
    assert memory.use("a", "1", until=10, now=0) is Use.FIRST
    assert memory.use("a", "1", until=10, now=10) is Use.REPEATED
    assert memory.use("b", "1", until=10, now=0) is Use.FIRST
    assert memory.use("a", "2", until=30, now=11) is Use.FIRST
    assert len(memory) == 1


def test_one_hotkey_cannot_fill_the_memory() -> None:
    memory = ReplayMemory(maximum=10, per_hotkey=2)
    uses = [memory.use("a", str(number), until=10, now=0) for number in range(3)]
    assert uses == [Use.FIRST, Use.FIRST, Use.FULL]
    assert memory.use("b", "1", until=10, now=0) is Use.FIRST
    assert memory.use("a", "0", until=10, now=0) is Use.REPEATED
    assert memory.use("a", "9", until=20, now=11) is Use.FIRST


def test_all_validators_of_a_subnet_but_one_leave_room_for_it() -> None:
    assert 63 * PER_HOTKEY < MAXIMUM


def test_a_full_memory_accepts_nothing_new() -> None:
    memory = ReplayMemory(maximum=2)
    assert [memory.use(hotkey, "1", until=10, now=0) for hotkey in "abc"] == [Use.FIRST, Use.FIRST, Use.FULL]
