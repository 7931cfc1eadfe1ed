"""`tasks build --alter rewrite`: through an endpoint, from a file of responses, and with wrong parameters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, RewriterAddress
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.tasks.build import build_task_set


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
        ("rewrite:model=m", "url and model belong together"),
        ("rewrite:url=http://x/v1", "url and model belong together"),
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


def test_the_work_of_a_validators_rewriter_is_rebuilt_from_its_responses_alone(
    fake_endpoint: Any, replies: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_endpoint.script = lambda request: replies.completion(f"Could you help me with this: {request.question}")
    tasks = {"sources": [{"bfcl": {"categories": ["live_simple"]}}], "count": 5, "seed": "s"}
    spec = Tasks.model_validate(tasks | {"alterations": [{"rewrite": {"minSimilarity": "0.3"}}]})
    own = RewriterAddress(url=fake_endpoint.url, model="rewriter@aaaa", repo="org/r", commit="a" * 40)
    built = build_task_set(spec, files={}, out=tmp_path / "a", rewriter=own)
    assert built.alterations[0].applied > 0
    command = ["build", "--bfcl", "live_simple", "--count", "5", "--seed", "s"]
    command += ["--alter", '{"rewrite": {"minSimilarity": "0.3"}}', "--out", str(tmp_path / "b")]
    assert tasks_verb.main([*command, "--rewrites", str(tmp_path / "a" / "rewrites.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == built.digest
    again = [*command[:-1], str(tmp_path / "c")]
    assert tasks_verb.main(again) == EXIT_INFRASTRUCTURE
    assert "a Validator's rewriter, which answers only its rounds" in capsys.readouterr().err


def test_another_rewriter_answers_again_after_an_attempt_of_the_first(
    fake_endpoint: Any, replies: Any, tmp_path: Path
) -> None:
    tasks = {"sources": [{"bfcl": {"categories": ["live_simple"]}}], "count": 5, "seed": "s"}
    spec = Tasks.model_validate(tasks | {"alterations": [{"rewrite": {"minSimilarity": "0.3"}}]})
    own = RewriterAddress(url=fake_endpoint.url, model="rewriter@aaaa", repo="org/r", commit="a" * 40)
    fake_endpoint.script = lambda request: replies.completion(f"Could you help me with this: {request.question}")
    first = build_task_set(spec, files={}, out=tmp_path, rewriter=own)
    fake_endpoint.script = lambda request: replies.completion(f"Please help me with this one: {request.question}")
    assert build_task_set(spec, files={}, out=tmp_path, rewriter=own).digest == first.digest
    other = own.model_copy(update={"commit": "b" * 40})
    assert build_task_set(spec, files={}, out=tmp_path, rewriter=other).digest != first.digest
