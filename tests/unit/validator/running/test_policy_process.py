"""The process that applies a package's policy: its memory, and its end without a parent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.policies import PolicyParameters
from bitagent_validator.chain.facts import Axon, Neuron
from bitagent_validator.policy.interface import Candidate, PolicyInput
from bitagent_validator.running.policy_process import MEMORY_BYTES, PolicyRequest, limit_memory

MODULE = "bitagent_validator.running.policy_process"


def test_a_request_is_read_as_it_was_written(neuron: Callable[..., Neuron]) -> None:
    given = PolicyInput(
        scores={"a": Candidate(0.1 + 0.2, block=7, win_rates=(None, 1 / 3), carried=True, rounds=0.5, online=0.1)},
        baseline=1e-17,
        newcomers=frozenset({"b", "c"}),
        rounds=5,
        parameters=PolicyParameters.model_validate({"bitAgent": {"onlinePercent": 7}}),
    )
    neurons = {"a": neuron("a", axon=Axon("::1", 9, 4), dividends=0.3)}
    request = PolicyRequest(policy="P", seconds=1, given=given, neurons=neurons)
    assert PolicyRequest.model_validate_json(request.model_dump_json(by_alias=True)) == request


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        pytest.param("400000000\n", 200_000_000, id="half of the container's"),
        pytest.param("max\n", MEMORY_BYTES, id="the container has none"),
        pytest.param(None, MEMORY_BYTES, id="no control group"),
    ],
)
def test_the_limit_of_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, limit: int) -> None:
    set_to: list[Any] = []
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: set_to.append(limits))
    if content is not None:
        (tmp_path / "memory.max").write_text(content)
    assert limit_memory(maximum=tmp_path / "memory.max") == limit
    assert set_to == [(limit, limit)]


def test_a_process_without_a_parent_ends_by_itself(policy_package: Callable[..., None]) -> None:
    policy_package("import time\ndef policy(given, neurons): time.sleep(3600)")
    request = PolicyRequest(policy="Theirs", seconds=-4.5, given=PolicyInput({}))
    done = subprocess.run([sys.executable, "-m", MODULE], input=request.model_dump_json().encode(), timeout=60)
    assert done.returncode != 0
