"""`tasks build --alter rewrite`: through an endpoint, from a file of responses, and with wrong parameters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE
from bitagent_evaluator.cli import tasks as tasks_verb


def test_the_command_rewords_and_rebuilds(
    fake_endpoint: Any, replies: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_endpoint.script = lambda request: replies.completion(f"Could you help me with this: {request.question}")
    alter = f"rewrite:url={fake_endpoint.url},model=org/name,minSimilarity=0.3,temperature=0.7,concurrency=2,percent=50"
    command = ["build", "--bfcl", "live_simple", "--count", "10", "--seed", "s", "--alter", alter]
    assert tasks_verb.main([*command, "--out", str(tmp_path / "a"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    (done,) = manifest["alterations"]
    assert done["parameters"]["model"] == "org/name"
    assert (done["parameters"]["minSimilarity"], done["parameters"]["temperature"]) == ("0.3", "0.7")
    assert re.fullmatch("sha256:[0-9a-f]{64}", manifest["files"]["rewrites.jsonl"])
    fake_endpoint.reply_with(replies.error(401))
    rebuild = [*command, "--out", str(tmp_path / "b"), "--rewrites", str(tmp_path / "a" / "rewrites.jsonl")]
    assert tasks_verb.main(rebuild) == 0
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        ("rewrite:model=m", "alterations.0.rewrite.url: Field required"),
        ("rewrite:url=ftp://x/v1,model=m", "alterations.0.rewrite.url: String should match pattern"),
        ("rewrite:url=http://x/v1,model=m,minSimilarity=2", "alterations.0.rewrite.minSimilarity: String should match"),
        ("rewrite:url=http://x/v1,model=m,tries=0", "alterations.0.rewrite.tries: Input should be greater than"),
        ("rewrite:url=http://x/v1,model=", "write NAME:key=value"),
    ],
)
def test_wrong_parameters_are_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], alter: str, message: str) -> None:
    assert tasks_verb.main(["build", "--bfcl", "multiple", "--alter", alter, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err


def test_an_endpoint_that_cannot_be_reached_is_an_infrastructure_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alter = "rewrite:url=http://127.0.0.1:9/v1,model=m"
    command = ["build", "--bfcl", "multiple", "--alter", alter, "--out", str(tmp_path)]
    assert tasks_verb.main(command) == EXIT_INFRASTRUCTURE
    assert "cannot be reached" in capsys.readouterr().err
