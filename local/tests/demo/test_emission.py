"""The plot of what miners earn."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_local.demo.emission import BARS, U16, Emission, bar, plot, shares


def state(epoch: int, **incentives: int) -> dict[str, Any]:
    return {"epoch": epoch, "neurons": [{"hotkey": h, "incentive": value} for h, value in incentives.items()]}


def test_an_epoch_counts_once() -> None:
    emission = Emission()
    for each in (state(3, a=0), state(3, a=9), state(4, a=U16), state(4, a=0), state(6, a=1)):
        emission.observe(each)
    assert emission.epochs == [3, 4, 6]
    assert [epoch["a"] for epoch in emission.incentives] == [0, U16, 1]
    assert emission.paying(["a", "b"]) == 2
    assert emission.paying(["owner"]) == 0


@pytest.mark.parametrize(
    ("value", "top", "expected"),
    [
        pytest.param(0, U16, BARS[0], id="nothing"),
        pytest.param(1, U16, BARS[1], id="little is visible"),
        pytest.param(U16, U16, BARS[-1], id="the largest share"),
        pytest.param(U16 // 2, U16, BARS[4], id="half of it"),
        pytest.param(0, 0, BARS[0], id="no epoch has paid"),
    ],
)
def test_a_bar(value: int, top: int, expected: str) -> None:
    assert bar(value, top) == expected


def test_the_plot_has_a_line_for_each_miner_that_is_named_or_earns() -> None:
    emission = Emission()
    emission.observe(state(1, a=0, b=0, validator=0, other=0))
    emission.observe(state(2, a=U16 // 4, b=0, validator=0, other=U16 // 4 * 3))
    lines = plot(emission, {"a": "acme/good", "b": "blue/copy"}, title="Nous").splitlines()
    assert "epochs 1 to 2" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["other", "acme/good", "blue/copy"]
    assert "█" in lines[1]
    assert lines[2].endswith("25.0%")
    assert lines[3].endswith("0.0%")


def test_before_the_first_epoch() -> None:
    assert "no epoch yet" in plot(Emission(), {"a": "acme"}, title="Nous")
    assert shares(Emission(), {}) == []
