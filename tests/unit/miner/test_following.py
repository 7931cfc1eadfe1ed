from __future__ import annotations

from typing import Any

import pytest

from bitagent_miner.chain import Neuron
from bitagent_miner.following import REFUSED_SECONDS, Address, announcement_due

ADDRESS = Address("1.2.3.4", 8091)


def neuron(axon: str | None) -> Neuron:
    return Neuron(uid=1, hotkey="5H", stake=0, permit=False, axon=axon)


@pytest.mark.parametrize(
    ("me", "address", "refused_at", "due"),
    [
        pytest.param(neuron(None), ADDRESS, None, True, id="never served"),
        pytest.param(neuron("1.2.3.4:8091"), ADDRESS, None, False, id="the same"),
        pytest.param(neuron("1.2.3.4:8092"), ADDRESS, None, True, id="another port"),
        pytest.param(None, ADDRESS, None, False, id="not registered"),
        pytest.param(neuron(None), None, None, False, id="nothing to announce"),
        pytest.param(neuron(None), ADDRESS, 1000.0, False, id="just refused"),
        pytest.param(neuron(None), ADDRESS, 1000.0 - REFUSED_SECONDS, True, id="refused a while ago"),
    ],
)
def test_when_an_address_is_written(me: Any, address: Any, refused_at: float | None, due: bool) -> None:
    assert announcement_due(me, address, now=1000.0, refused_at=refused_at) is due
