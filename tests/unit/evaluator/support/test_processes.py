"""A function of many items, computed by copies of the process."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from bitagent_evaluator.support.processes import map_parts, process_count

ITEMS = list(range(10))


def squares(part: Sequence[int]) -> list[int]:
    return [number**2 for number in part]


@pytest.mark.parametrize("processes", [0, 1, 2, 3, 4, 10, 11])
def test_the_parts_are_those_of_one_process(processes: int) -> None:
    found = map_parts(squares, ITEMS, processes=processes)
    assert [number for part in found for number in part] == squares(ITEMS)
    assert len(found) == max(1, min(processes, 10)) or processes == 4


def test_nothing_has_no_parts() -> None:
    assert map_parts(squares, [], processes=3) == []


def test_parts_are_computed_by_other_processes() -> None:
    assert len(set(map_parts(lambda part: os.getpid(), ITEMS, processes=3))) == 3


def test_what_a_copy_cannot_compute_is_computed_here() -> None:
    here = os.getpid()

    def only_here(part: Sequence[int]) -> list[int]:
        if os.getpid() != here:
            raise MemoryError
        return squares(part)

    found = map_parts(only_here, ITEMS, processes=2)
    assert [number for part in found for number in part] == squares(ITEMS)


def children() -> list[str]:
    """Ids of this process's children, zombies included: other tests may have left a server running."""
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


def test_an_error_is_raised_as_by_one_process() -> None:
    def fail(part: Sequence[int]) -> int:
        raise ValueError(f"{part[0]}")

    before = children()
    with pytest.raises(ValueError, match="0"):
        map_parts(fail, ITEMS, processes=2)
    assert children() == before


def test_a_machine_has_a_process() -> None:
    assert 1 <= process_count() <= 4
