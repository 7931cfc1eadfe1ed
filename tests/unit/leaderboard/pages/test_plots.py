from __future__ import annotations

import pytest

from bitagent_leaderboard.pages.plots import HEIGHT, WIDTH, Value, plot


def value(number: float, **more: object) -> Value:
    return Value("1", "title", number, **more)  # type: ignore[arg-type]


def test_scores_have_the_axis_from_0_to_1() -> None:
    found = plot([value(0.5, interval=(0.4, 0.6), baseline=0.25), value(1.0)], scores=True)
    assert found is not None
    assert [tick.label for tick in found.y_ticks] == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    first, second = found.dots
    assert second.y == found.top
    assert first.y == pytest.approx((found.top + found.bottom) / 2)
    assert first.low is not None
    assert first.high is not None
    assert first.low > first.y > first.high
    assert (second.low, second.high) == (None, None)
    assert found.baseline.count("M") == 1
    assert found.line.count("L") == 1


@pytest.mark.parametrize("numbers", [[1.5], [1.5, 1.5], [0.0, 0.0], [1e9, 1.0], [0.1, float("inf"), 0.2]])
def test_losses_fit_their_axis(numbers: list[float]) -> None:
    found = plot([value(each) for each in numbers], scores=False)
    assert found is not None
    assert found.y_ticks
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= HEIGHT for dot in found.dots)


@pytest.mark.parametrize("numbers", [[], [float("inf")], [float("nan")]])
def test_nothing_to_draw(numbers: list[float]) -> None:
    assert plot([value(each) for each in numbers], scores=False) is None


def test_a_hundred_rounds_have_few_labels() -> None:
    found = plot([value(0.5)] * 100, scores=True)
    assert found is not None
    assert (len(found.dots), len(found.x_ticks)) == (100, 8)
