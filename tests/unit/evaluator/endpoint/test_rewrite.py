"""Alteration Rewrite through an endpoint: which questions are asked, what becomes of the answers, and what a faulty endpoint does to a build."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, TaskSetJob, alteration_key
from bitagent_crds.results import Expects, Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.alterations import AlterationError, KeptAnswers, Means, alter_tasks
from bitagent_evaluator.alterations.similarity import minilm
from bitagent_evaluator.alterations.similarity.minilm import MiniLM
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.endpoint import client as client_module
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.jobs import task_set
from bitagent_evaluator.tasks import MANIFEST, TASKS, TaskSetError, build_task_set, read_task_set
from bitagent_evaluator.tasks.files import encode_tasks

COUNT = 12


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "seconds_before", lambda attempt, **_: 0.0)


@pytest.fixture(scope="module")
def loaded() -> MiniLM:
    """The real embedding, loaded once."""
    return MiniLM()


@pytest.fixture(autouse=True)
def _loaded(loaded: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "MiniLM", lambda: loaded)


def politely(question: str) -> str:
    """A rewording that keeps everything and changes enough."""
    return f"Could you please help me out with the following request of mine: {question}"


def task(says: str, truth: list[dict[str, Any]] | None = None, **more: Any) -> Task:
    made: dict[str, Any] = {"id": "t", "source": "test", "category": "mine", "functions": [WEATHER]}
    made |= {"expects": Expects.NO_CALL if truth is None else Expects.CALLS, "ground_truth": truth}
    return Task.model_validate(made | {"messages": [{"role": "user", "content": says}]} | more)


WEATHER = {"name": "get_weather", "description": "", "parameters": {"type": "dict", "properties": {}, "required": []}}
CONVERSATION = {"turns": [[]], "ground_truth": [[]], "classes": ["GorillaFileSystem"], "initial_state": {}}
PARIS = task("What is the weather in Paris tomorrow?", [{"get_weather": {"city": ["Paris"]}}])


def rewrite(url: str, **parameters: Any) -> Spec:
    return Spec.model_validate({"rewrite": {"url": url, "model": "rewriter", **parameters}})


def alter(tasks: list[Task], url: str, means: Means | None = None, **parameters: Any) -> tuple[list[Task], Any]:
    before = encode_tasks(tasks)
    altered, (manifest,) = alter_tasks(tasks, [rewrite(url, **parameters)], seed="s", means=means)
    assert encode_tasks(tasks) == before, "the given tasks were touched"
    assert manifest.applied + sum(manifest.skipped.values()) == len(tasks)
    return altered, manifest


def spec(url: str, **parameters: Any) -> Tasks:
    source = {"bfcl": {"categories": ["live_simple", "live_irrelevance"]}}
    alterations = [{"rewrite": {"url": url, "model": "rewriter", **parameters}}]
    return Tasks.model_validate({"sources": [source], "count": COUNT, "seed": "s", "alterations": alterations})


def test_a_reworded_question_and_its_record(stand_in: Any, script: Any) -> None:
    stand_in.says(script.said("Tell me tomorrow's forecast for Paris."))
    (altered,), manifest = alter([PARIS], stand_in.url)
    assert altered.messages == [{"role": "user", "content": "Tell me tomorrow's forecast for Paris."}]
    assert altered.parent == PARIS
    assert altered.alterations[0].parameters == {
        "turns": [
            {"message": 0, "from": PARIS.messages[0]["content"], "to": "Tell me tomorrow's forecast for Paris.",
             "similarity": "0.7900", "try": 1}
        ]
    }  # fmt: skip
    assert (altered.functions, altered.ground_truth, altered.expects) == (
        PARIS.functions,
        PARIS.ground_truth,
        PARIS.expects,
    )
    assert manifest.version.startswith("all-MiniLM-L6-v2 sha256:")
    assert manifest.version.endswith("prompt 1")
    (request,) = stand_in.requests
    assert request.body["messages"][1] == PARIS.messages[0]
    assert (request.body["model"], request.body["temperature"], request.body["max_tokens"]) == ("rewriter", 1.0, 1000)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("", "empty"), ("What is the weather in Paris tomorrow!", "too_similar"), ("Tomorrow's forecast, please.", "value_lost"),
        ("Paris: a poem about its river and bridges in spring. " * 40, "too_long"), ("Use get_weather for Paris.", "names_function"),
        ("Forecast for Paris for the next 3 days?", "number_changed"), ("Paris\x07 forecast", "control_characters"),
        ("The Paris Hilton tax returns, alphabetically by shoe.", "too_different"),
    ],
)  # fmt: skip
def test_a_bad_rewording_leaves_the_question(stand_in: Any, script: Any, says: str, reason: str) -> None:
    stand_in.says(script.said(says))
    altered, manifest = alter([PARIS], stand_in.url, tries=3, minSimilarity="0.4")
    assert altered == [PARIS]
    assert manifest.skipped == {reason: 1}
    assert len(stand_in.requests) == 3


def test_an_answer_that_was_cut_off_is_too_long(stand_in: Any, script: Any) -> None:
    stand_in.says(script.said("Tell me tomorrow's forecast for Paris", cut_off=True))
    assert alter([PARIS], stand_in.url)[1].skipped == {"too_long": 1}


def test_a_second_try_counts(stand_in: Any, script: Any) -> None:
    stand_in.says(script.said("no idea"), script.said("Tell me tomorrow's forecast for Paris."))
    (altered,), _ = alter([PARIS], stand_in.url)
    assert altered.alterations[0].parameters["turns"][0]["try"] == 2
    seeds = {request.body["seed"] for request in stand_in.requests}
    assert len(seeds) == 2, "another try must not ask for the same answer"


def test_all_user_turns_of_any_task_and_nothing_else(stand_in: Any, script: Any) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    said = ["Be brief.", "Is it warm in Rome?", "It is.", "And is it warm in Oslo, too?"]
    messages = [{"role": r, "content": c} for r, c in zip(("system", "user", "assistant", "user"), said, strict=True)]
    tasks = [
        task("", id="chat", messages=messages),
        task("Which way is up?", id="any", expects=Expects.ANY_CALL),
        task("", id="silent", messages=[{"role": "system", "content": "Hello"}]),
        task("Let us talk.", id="state", expects=Expects.STATE, conversation=CONVERSATION),
        task("Tell a story.", id="text", expects=Expects.TEXT, reference="Once"),
    ]
    altered, manifest = alter(tasks, stand_in.url)
    assert [m["content"] for m in altered[0].messages] == [said[0], politely(said[1]), said[2], politely(said[3])]
    assert altered[1].messages[0]["content"] == politely("Which way is up?")
    assert altered[2:] == tasks[2:]
    assert manifest.skipped == {"conversation": 1, "expects_text": 1, "no_user_text": 1}


def test_a_task_may_be_reworded_in_part(stand_in: Any, script: Any) -> None:
    stand_in.script = lambda request: script.said(politely(request.question) if "Rome" in request.question else "")
    messages = [{"role": "user", "content": "Is it warm in Rome?"}, {"role": "user", "content": "And in Oslo?"}]
    (altered,), _ = alter([task("", messages=messages)], stand_in.url)
    assert altered.messages == [{"role": "user", "content": politely("Is it warm in Rome?")}, messages[1]]
    assert [turn["message"] for turn in altered.alterations[0].parameters["turns"]] == [0]


def test_nothing_is_asked_about_tasks_that_were_not_chosen(stand_in: Any, script: Any) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    tasks = [task(f"Is it warm in town, and how warm, number {i}?", id=f"t{i}") for i in range(60)]
    altered, manifest = alter(tasks, stand_in.url, percent=25)
    assert manifest.skipped.keys() == {"not_chosen"}
    assert 5 < manifest.applied == len(stand_in.requests) < 30
    assert [bool(t.alterations) for t in altered] == [t.messages[0]["content"].startswith("Could") for t in altered]


def test_requests_are_concurrent_within_bounds(stand_in: Any, script: Any) -> None:
    def slowly(request: Any) -> Any:
        time.sleep(0.02)
        return script.said(politely(request.question))

    stand_in.script = slowly
    tasks = [task(f"Is it warm in town, and how warm, number {i}?", id=f"t{i}") for i in range(30)]
    alter(tasks, stand_in.url, concurrency=4)
    assert 1 < stand_in.most_open <= 4


def test_a_spec_that_makes_no_sense(stand_in: Any) -> None:
    with pytest.raises(AlterationError, match=r"\[0\] \(Rewrite\): minSimilarity 0.9 is not below maxSimilarity 0.5"):
        alter([PARIS], stand_in.url, minSimilarity="0.9", maxSimilarity="0.5")
    with pytest.raises(AlterationError, match="a password, which the manifest would publish"):
        alter([PARIS], "http://me:secret@127.0.0.1/v1")
    with pytest.raises(AlterationError, match=r"\[0\] \(Rewrite\): 'http://\[::1/v1' is no web address"):
        alter([PARIS], "http://[::1/v1")


# Faults


def test_single_failures_are_counted(stand_in: Any, script: Any) -> None:
    def answer(request: Any) -> Any:
        bad = {"1": script.problem(400), "2": script.problem(500), "3": script.answer(body=b"<html>")}
        return bad.get(request.question[-2], script.said(politely(request.question)))

    stand_in.script = answer
    tasks = [task(f"Is it warm in town, and how warm, number {i}?", id=f"t{i}") for i in range(6)]
    altered, manifest = alter(tasks, stand_in.url)
    assert manifest.skipped == {"request_failed": 3}
    assert [bool(t.alterations) for t in altered] == [True, False, False, False, True, True]
    asked = Counter(request.question[-2] for request in stand_in.requests)
    assert (asked["1"], asked["2"], asked["3"]) == (1, 6, 6), (
        "a refusal is final, the rest has 3 requests for each of 2 tries"
    )


def test_a_hanging_request_is_counted(stand_in: Any, script: Any) -> None:
    stand_in.script = lambda r: script.answer(hang=True) if "Oslo" in r.question else script.said(politely(r.question))
    tasks = [task("Is it warm in Rome?", id="a"), task("Is it warm in Oslo?", id="b")]
    _, manifest = alter(tasks, stand_in.url, timeoutSeconds=1, tries=1)
    assert (manifest.applied, manifest.skipped) == (1, {"request_failed": 1})


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [(401, None, "answered 401"), (404, None, "no model rewriter"), (429, None, "answered 429"), (503, None, "answered 503"),
     (500, None, "16 requests failed one after the other"), (200, b"<html>", "16 requests failed one after the other"),
     (400, None, "no request was answered")],
)  # fmt: skip
def test_an_endpoint_that_serves_nobody_fails_the_build(
    stand_in: Any, script: Any, tmp_path: Path, status: int, body: Any, message: str
) -> None:
    stand_in.says(script.answer(status, body) if body else script.problem(status, "no model rewriter here"))
    with pytest.raises(InfrastructureFault, match=message):
        build_task_set(spec(stand_in.url), files={}, out=tmp_path)
    assert not (tmp_path / MANIFEST).exists()


def test_nobody_there_fails_the_job_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = task_set.handle(TaskSetJob(tasks=spec("http://127.0.0.1:9/v1"), out_dir=str(tmp_path)))
    assert outcome.exit_code == EXIT_INFRASTRUCTURE
    assert outcome.summary.reason == "InfrastructureFault"
    assert "http://127.0.0.1:9/v1 cannot be reached" in outcome.summary.message
    alter = "rewrite:url=http://127.0.0.1:9/v1,model=m"
    assert (
        tasks_verb.main(["build", "--bfcl", "multiple", "--alter", alter, "--out", str(tmp_path)])
        == EXIT_INFRASTRUCTURE
    )
    assert "cannot be reached" in capsys.readouterr().err


def test_the_job_takes_the_key_from_its_environment(
    stand_in: Any, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    monkeypatch.setenv(alteration_key(0), "secret")
    assert task_set.handle(TaskSetJob(tasks=spec(stand_in.url), out_dir=str(tmp_path))).exit_code == EXIT_OK
    assert {request.headers["authorization"] for request in stand_in.requests} == {"Bearer secret"}
    assert "secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


# Kept answers


def creative(script: Any) -> Any:
    """Another wording each time, a cut-off one, a refusal and a failure: what a rebuild must not ask for again."""
    said: list[str] = []

    def answer(request: Any) -> Any:
        said.append(request.question)
        if len(request.question) % 7 == 1:
            return script.problem(400)
        if len(request.question) % 7 == 2:
            return script.problem(500)
        return script.said(
            f"{politely(request.question)} (thought {'so ' * len(said)})", cut_off=len(request.question) % 7 == 3
        )

    return answer


def built(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_rebuild_with_the_same_file_asks_nobody_and_gives_the_same_bytes(
    stand_in: Any, script: Any, tmp_path: Path
) -> None:
    stand_in.script = creative(script)
    manifest = build_task_set(spec(stand_in.url), files={}, out=tmp_path / "a")
    first = built(tmp_path / "a")
    assert first.keys() == {TASKS, MANIFEST, "rewrites.jsonl"}
    assert manifest.files.keys() == {"rewrites.jsonl"}
    assert manifest.alterations[0].applied > 0 and manifest.alterations[0].skipped["request_failed"] > 0
    assert read_task_set(tmp_path / "a")[0] == manifest
    asked = len(stand_in.requests)
    rewrites = tmp_path / "a" / "rewrites.jsonl"
    build_task_set(spec(stand_in.url), files={}, out=tmp_path / "b", rewrites=rewrites)
    build_task_set(spec(stand_in.url), files={}, out=tmp_path / "a")
    assert built(tmp_path / "b") == first == built(tmp_path / "a")
    assert len(stand_in.requests) == asked
    reversed_lines = b"".join(rewrites.read_bytes().splitlines(keepends=True)[::-1])
    (tmp_path / "other.jsonl").write_bytes(b'{"key":"unused","text":"x"}\n' + reversed_lines)
    build_task_set(spec(stand_in.url), files={}, out=tmp_path / "c", rewrites=tmp_path / "other.jsonl")
    assert built(tmp_path / "c") == first


def test_tasks_that_ask_the_same_share_the_answer(stand_in: Any, script: Any) -> None:
    stand_in.script = lambda request: script.said(f"{politely(request.question)} {'Really. ' * len(stand_in.requests)}")
    altered, _ = alter([PARIS.model_copy(update={"id": f"t{i}"}) for i in range(8)], stand_in.url)
    assert len({t.messages[0]["content"] for t in altered}) == len(stand_in.requests) == 1


def test_a_killed_build_goes_on_where_it_stopped(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    build_task_set(spec(stand_in.url), files={}, out=tmp_path / "whole")
    whole, asked = built(tmp_path / "whole"), {request.question for request in stand_in.requests}
    stand_in.requests.clear()

    def dying(request: Any) -> Any:
        return script.problem(401) if len(stand_in.requests) > 8 else script.said(politely(request.question))

    stand_in.script = dying
    with pytest.raises(InfrastructureFault, match="401"):
        build_task_set(spec(stand_in.url, concurrency=1), files={}, out=tmp_path / "parts")
    kept = (tmp_path / "parts" / "rewrites.jsonl").read_bytes()
    assert len(kept.splitlines()) == 8
    (tmp_path / "parts" / "rewrites.jsonl").write_bytes(kept + b'{"key": "torn')
    stand_in.requests.clear()
    stand_in.script = lambda request: script.said(politely(request.question))
    build_task_set(spec(stand_in.url), files={}, out=tmp_path / "parts")
    assert len({request.question for request in stand_in.requests}) == len(asked) - 8
    assert built(tmp_path / "parts") == whole


def test_answers_that_are_still_missing_are_asked_for(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    build_task_set(spec(stand_in.url, percent=50), files={}, out=tmp_path / "half")
    asked = len(stand_in.requests)
    build_task_set(spec(stand_in.url), files={}, out=tmp_path / "all", rewrites=tmp_path / "half" / "rewrites.jsonl")
    assert len(stand_in.requests) == COUNT
    assert 0 < asked < COUNT


@pytest.mark.parametrize(
    "changed",
    [{"model": "other"}, {"temperature": "0.5"}, {"maxTokens": 7}, {"seed": "other"}],
    ids=lambda changed: next(iter(changed)),
)
def test_what_was_asked_otherwise_is_asked_again(stand_in: Any, script: Any, changed: dict[str, Any]) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    means = Means(answers=KeptAnswers())
    seed = changed.pop("seed", "s")
    for parameters, used in (({}, "s"), ({}, "s"), (changed, seed), ({"minSimilarity": "0.1", "percent": 99}, "s")):
        alter_tasks([PARIS], [rewrite(stand_in.url, **parameters)], seed=used, means=means)
    assert len(stand_in.requests) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("{}\n", r"other.jsonl, line 1: no answer of a rewriter")],
    ids=["missing", "other"],
)
def test_a_file_that_cannot_be_taken_over(stand_in: Any, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "other.jsonl").write_text(content)
    with pytest.raises(TaskSetError, match=message):
        build_task_set(spec(stand_in.url), files={}, out=tmp_path / "out", rewrites=tmp_path / "other.jsonl")


def test_without_a_rewriter_there_is_no_file(tmp_path: Path) -> None:
    plain = spec("http://127.0.0.1:9/v1").model_copy(update={"alterations": []})
    manifest = build_task_set(plain, files={}, out=tmp_path)
    assert built(tmp_path).keys() == {TASKS, MANIFEST}
    assert not manifest.files and '"files"' not in (tmp_path / MANIFEST).read_text()


# The command


def test_the_command_rewords_and_rebuilds(
    stand_in: Any, script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.script = lambda request: script.said(politely(request.question))
    alter = f"rewrite:url={stand_in.url},model=org/name,minSimilarity=0.3,temperature=0.7,concurrency=2,percent=50"
    command = ["build", "--bfcl", "live_simple", "--count", "10", "--seed", "s", "--alter", alter]
    assert tasks_verb.main([*command, "--out", str(tmp_path / "a"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    (done,) = manifest["alterations"]
    assert done["parameters"]["model"] == "org/name"
    assert (done["parameters"]["minSimilarity"], done["parameters"]["temperature"]) == ("0.3", "0.7")
    assert re.fullmatch("sha256:[0-9a-f]{64}", manifest["files"]["rewrites.jsonl"])
    stand_in.says(script.problem(401))
    rebuild = [*command, "--out", str(tmp_path / "b"), "--rewrites", str(tmp_path / "a" / "rewrites.jsonl")]
    assert tasks_verb.main(rebuild) == 0
    assert built(tmp_path / "a") == built(tmp_path / "b")


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
def test_wrong_parameters_are_the_commands_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], alter: str, message: str
) -> None:
    assert tasks_verb.main(["build", "--bfcl", "multiple", "--alter", alter, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err
