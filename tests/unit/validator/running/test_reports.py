"""What is posted of a pass beside its status."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.chain.follower import Down, Up
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.running.readings import Readings
from bitagent_validator.running.reports import Known, Reporter
from bitagent_validator.state.documents import State
from bitagent_validator.wallet import Account

HOTKEY = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
NODE: Any = SimpleNamespace(endpoint="ws://one")
DOWN = Down(Reason.CHAIN_STALLED, "silent")


def up(**contradicting: int) -> Up:
    return Up(NODE, 1000, contradicting=contradicting)


@pytest.mark.parametrize(
    ("passes", "posted"),
    [
        pytest.param([up(), up()], 0, id="none does"),
        pytest.param([up(two=9), up(two=21), up(two=33)], 1, id="one does, at growing heights"),
        pytest.param([up(two=9), DOWN, up(two=9)], 1, id="the chain was away meanwhile"),
        pytest.param([up(two=9), up(), up(two=9)], 2, id="it agreed meanwhile"),
        pytest.param([up(two=9), up(two=9, three=8), up(three=8)], 2, id="another does, too"),
    ],
)
async def test_endpoints_that_contradict_are_posted_once(
    competition: Callable[..., Any], tmp_path: Any, passes: list[Up | Down], posted: int
) -> None:
    wire = {
        "netuid": 20,
        "chain": {"endpoints": ["ws://one"]},
        "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
        "competitions": [competition().to_wire()],
    }
    spec, events = ValidatorSpec.model_validate(wire), list[str]()

    async def warning(reason: str, message: str) -> None:
        events.append(reason)

    async def write_status(*_: Any) -> dict[str, Any]:
        return {}

    services: Any = SimpleNamespace(
        metrics=Metrics(),
        events=SimpleNamespace(warning=warning),
        store=SimpleNamespace(state=State()),
        client=SimpleNamespace(write_status=write_status),
    )
    reporter = Reporter(services, Readings(Account(HOTKEY, tmp_path)), hotkey=HOTKEY)
    for chain in passes:
        await reporter.report(ValidatorObject("val", "ns", "u", 1, spec, {}), spec, Known(chain))
    assert events == [Reason.CHAIN_CONTRADICTED] * posted
