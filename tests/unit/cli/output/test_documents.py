"""JSON and YAML."""

from __future__ import annotations

import io
import json

import pytest
import yaml

from bitagent_cli.output.documents import complete, listed, write
from bitagent_cli.output.terminal import Terminal
from bitagent_kube.resources import ROUNDS

OBJ = {"metadata": {"name": "r", "managedFields": [{}]}, "status": {"message": "é \x1b \x7f"}}


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_are_the_same_data_and_printable(form: str, read: object) -> None:
    out = io.StringIO()
    write(Terminal(out, io.StringIO()), listed([OBJ], ROUNDS), form)
    assert all(c.isprintable() or c == "\n" for c in out.getvalue())
    document = read(out.getvalue())  # type: ignore[operator]
    assert document["items"][0]["status"] == OBJ["status"]
    assert document["items"][0]["kind"] == "EvalRound"


def test_managed_fields_are_left_out() -> None:
    assert complete(OBJ, ROUNDS)["metadata"] == {"name": "r"}
