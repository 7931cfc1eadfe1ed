"""The client of a rehearsal: it has no connection of its own."""

from __future__ import annotations

import inspect

from bitagent_kube.client import Client
from bitagent_operator.explanation.rehearsal import ReadingClient

NOT_IN_A_PASS = {"close", "create", "listing", "pages", "replace", "watch"}
"""Methods that watches, Events and the Lease use, and no reconciler."""


def test_every_request_of_a_pass_is_read_or_recorded() -> None:
    of_client = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert of_client - vars(ReadingClient).keys() == NOT_IN_A_PASS
