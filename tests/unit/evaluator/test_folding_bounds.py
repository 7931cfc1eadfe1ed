"""How large a value an answer's arithmetic may make: exactly so large, and by no detour any larger."""

from __future__ import annotations

import pytest

from bitagent_crds.results import Language
from bitagent_evaluator.answers import AnswerError, decode
from bitagent_evaluator.answers.folding import MAX_BITS, MAX_SIZE


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(f"2 ** {MAX_BITS // 2}", id="power"),
        pytest.param(f"1 << {MAX_BITS - 1}", id="shift"),
        pytest.param(f"'x' * {MAX_SIZE}", id="text"),
        pytest.param(f"{MAX_SIZE} * 'x'", id="text, turned round"),
        pytest.param(f"'x' * {MAX_SIZE - 1} + 'x'", id="sum"),
    ],
)
def test_up_to_the_bound_it_is_worked_out(expression: str) -> None:
    assert decode(f"f(a={expression})", Language.PYTHON)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(f"2 ** {MAX_BITS // 2 + 1}", id="power"),
        pytest.param(f"1 << {MAX_BITS}", id="shift"),
        pytest.param(f"'x' * {MAX_SIZE + 1}", id="text"),
        pytest.param(f"'x' * {MAX_SIZE} + 'x'", id="a sum of texts that are small enough"),
        pytest.param(" + ".join([f"'x' * {MAX_SIZE}"] * 200), id="a long sum: 12 characters each make 16 thousand"),
        pytest.param(f"'%s%s' % ('x' * {MAX_SIZE - 2}, 'xyz')", id="format"),
        pytest.param(f"[1] * {MAX_SIZE // 2} + [2] * {MAX_SIZE // 2}", id="lists: each counts one itself"),
    ],
)
def test_beyond_it_it_is_refused(expression: str) -> None:
    with pytest.raises(AnswerError) as caught:
        decode(f"f(a={expression})", Language.PYTHON)
    assert caught.value.refused
