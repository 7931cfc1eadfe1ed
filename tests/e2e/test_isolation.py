"""NetworkPolicies hold on the node's real traffic: evaluation pods reach nothing, fetch pods only the hub."""

from __future__ import annotations

import pytest
from probing import ISOLATION

pytestmark = pytest.mark.e2e

EXPECTED: dict[str, set[str]] = {
    "evaluate": set(),
    "task-set": set(),
    "fetch": {"hub"},
    "validator": {"api", "chain"},
    "other": {"hub", "chain", "api"},
}


@pytest.mark.parametrize("component", ISOLATION)
def test_who_reaches_what(isolation: dict[str, set[str]], component: str) -> None:
    assert isolation[component] == EXPECTED[component]
