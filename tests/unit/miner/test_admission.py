from __future__ import annotations

from typing import Any

import pytest

from bitagent_miner.admission import Callers, Rules, priority, refusal
from bitagent_wire.server import Rejection

PERMIT, REGISTERED, POOR, UNKNOWN = "permit", "registered", "poor", "unknown"


@pytest.mark.parametrize(
    ("hotkey", "rules", "read", "rejection"),
    [
        pytest.param(PERMIT, Rules(), True, None, id="permit"),
        pytest.param(REGISTERED, Rules(), True, Rejection.BLACKLISTED, id="no permit"),
        pytest.param(UNKNOWN, Rules(), True, Rejection.BLACKLISTED, id="not registered"),
        pytest.param(REGISTERED, Rules(callers=Callers.REGISTERED), True, None, id="registered"),
        pytest.param(
            UNKNOWN, Rules(callers=Callers.REGISTERED), True, Rejection.BLACKLISTED, id="not registered at all"
        ),
        pytest.param(POOR, Rules(minimum_stake=100), True, Rejection.BLACKLISTED, id="too little stake"),
        pytest.param(PERMIT, Rules(minimum_stake=100), True, None, id="enough stake"),
        pytest.param(UNKNOWN, Rules(callers=Callers.ANYONE), True, None, id="anyone"),
        pytest.param(UNKNOWN, Rules(callers=Callers.ANYONE), False, None, id="anyone, chain not read"),
        pytest.param(
            UNKNOWN, Rules(callers=Callers.ANYONE, minimum_stake=1), True, Rejection.BLACKLISTED, id="anyone with stake"
        ),
        pytest.param(PERMIT, Rules(deny=frozenset([PERMIT])), True, Rejection.BLACKLISTED, id="denied"),
        pytest.param(UNKNOWN, Rules(allow=frozenset([UNKNOWN])), False, None, id="allowed"),
        pytest.param(
            PERMIT, Rules(allow=frozenset([PERMIT]), deny=frozenset([PERMIT])), True, Rejection.BLACKLISTED, id="both"
        ),
        pytest.param(PERMIT, Rules(), False, Rejection.BUSY, id="chain not read"),
    ],
)
def test_who_may_ask(subnet: Any, hotkey: str, rules: Rules, read: bool, rejection: Rejection | None) -> None:
    facts = subnet((PERMIT, 100, True), (REGISTERED, 100, False), (POOR, 99.9, True)) if read else None
    found = refusal(hotkey, rules, facts)
    assert (found and found.rejection) == rejection


def test_priority_is_stake(subnet: Any) -> None:
    facts = subnet((PERMIT, 100, True))
    assert [priority(PERMIT, facts), priority(UNKNOWN, facts), priority(PERMIT, None)] == [100, 0, 0]
