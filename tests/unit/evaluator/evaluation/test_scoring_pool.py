"""Scoring in other processes gives the verdicts of scoring in this one; a lost process is infrastructure."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.results import Response
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects, Language
from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.evaluation import scoring_pool
from bitagent_evaluator.evaluation.scoring_pool import ScoringPool, pool_size
from bitagent_evaluator.support.faults import InfrastructureFault

FUNCTION = {
    "name": "add",
    "description": "",
    "parameters": {"type": "dict", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
}


def task(index: int, *, language: Language = Language.PYTHON, expects: Expects = Expects.CALLS) -> Task:
    truth = [{"add": {"x": [index]}}] if expects is Expects.CALLS else None
    return Task(
        id=f"t{index}", source="s", category="c", messages=[], functions=[FUNCTION], language=language,
        expects=expects, ground_truth=truth,
    )  # fmt: skip


def conversation() -> Task:
    talk = Conversation(turns=[[]], ground_truth=[[]], classes=[], initial_state={})
    return task(0).model_copy(update={"expects": Expects.STATE, "conversation": talk})


def replies(tasks: list[Task]) -> list[Response]:
    """Every third answer is wrong, every seventh missing."""
    return [text_response(asked, f"[add(x={i if i % 3 else i + 1})]") for i, asked in enumerate(tasks) if i % 7]


@pytest.mark.parametrize(
    ("tasks", "cores", "workers"),
    [
        ([task(i) for i in range(1000)], 8, 0),
        ([task(0)] * 80_000, 8, 4),
        ([task(0, language=Language.JAVA)] * 1000, 8, 2),
        ([conversation()] * 800, 8, 2),
        ([conversation()] * 8000, 8, 8),
        ([], 8, 0),
    ],
    ids=["few Python answers", "many Python answers", "Java", "conversations", "many conversations", "nothing"],
)
def test_the_number_of_processes_follows_from_the_work(tasks: list[Task], cores: int, workers: int) -> None:
    assert pool_size(tasks, cores) == workers


@pytest.mark.parametrize("scorer", ["Bfcl", "BitAgent202504"])
def test_verdicts_do_not_depend_on_the_number_of_processes(scorer: str) -> None:
    tasks = [task(i) for i in range(60)] + [task(i, language=Language.JAVA) for i in range(60, 64)]
    given = replies(tasks)
    seen = []
    for workers in (0, 2):
        with ScoringPool(tasks, BuiltinPromptFormat.BFCL, scorer, workers=workers) as pool:
            pool.submit(given[:20])
            pool.submit(given[10:40])
            seen.append(pool.verdicts(given))
    assert seen[0] == seen[1]
    assert {verdict.error for verdict in seen[0]} > {"", "no_response"}


@pytest.mark.parametrize("workers", [0, 1])
def test_the_syntaxes_of_the_prompt_format_are_read(workers: int) -> None:
    asked = task(4)
    reply = text_response(asked, '[{"name": "add", "arguments": {"x": 4}}]')
    with ScoringPool([asked], BuiltinPromptFormat.HAMMER, "Bfcl", workers=workers) as pool:
        assert [verdict.passed for verdict in pool.verdicts([reply])] == [True]


def test_the_first_answer_counts() -> None:
    asked = task(4)
    with ScoringPool([asked], BuiltinPromptFormat.BFCL, "Bfcl", workers=1) as pool:
        pool.submit([text_response(asked, "[add(x=4)]")])
        pool.submit([text_response(asked, "[add(x=5)]")])
        assert pool.verdicts([])[0].passed


def test_leaving_early_ends_the_processes() -> None:
    with ScoringPool([task(1)], BuiltinPromptFormat.BFCL, "Bfcl", workers=2) as pool:
        pids = [sandbox.pid for sandbox in pool.sandboxes]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


SCORER = """
import os, signal, threading, time

class Obeying:
    def verdicts(self, answers):
        for task, response in answers:
            action = response.answer.text
            if action == "raise": raise RuntimeError("odd answer")
            if action == "crash": os.abort()
            if action == "kill": os.kill(os.getpid(), signal.SIGKILL)
            if action == "hoard": bytearray(16 << 30)
            if action == "write": os.write(os.open(os.path.dirname(__file__) + "/out", os.O_WRONLY | os.O_CREAT), b"x")
            if action == "secret": assert "HF_TOKEN" in os.environ
            if action == "spin":
                while True: pass
            from bitagent_evaluator.scoring.base import pass_fail
            yield pass_fail(task, "", "")

class Greedy:
    def verdicts(self, answers):
        yield from list(answers)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a scorer that does what the answer says, and one that reads ahead."""
    info = tmp_path / "hostile_scorers-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile-scorers\nVersion: 1\n")
    names = "Obeying = hostile_scorers:Obeying\nGreedy = hostile_scorers:Greedy\nMissing = hostile_scorers:Missing\n"
    (info / "entry_points.txt").write_text(f"[bitagent.scorers]\n{names}")
    (tmp_path / "hostile_scorers.py").write_text(SCORER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return tmp_path


def pooled(scorer: str, *answers: str) -> list[bool]:
    tasks = [task(i) for i in range(len(answers))]
    given = [text_response(asked, text) for asked, text in zip(tasks, answers, strict=True)]
    with ScoringPool(tasks, BuiltinPromptFormat.BFCL, scorer, workers=1) as pool:
        return [verdict.passed for verdict in pool.verdicts(given)]


@pytest.mark.usefixtures("installed")
def test_a_scorer_of_an_installed_package() -> None:
    assert pooled("Obeying", "pass", "pass") == [True, True]


@pytest.mark.parametrize(
    ("scorer", "answer", "problem"),
    [
        pytest.param("Obeying", "raise", "RuntimeError: odd answer", id="raises"),
        pytest.param("Obeying", "crash", "crashes", id="crashes"),
        pytest.param("Obeying", "kill", "ended with -9", id="is killed"),
        pytest.param("Obeying", "hoard", "MemoryError", id="takes too much memory"),
        pytest.param("Obeying", "write", "File too large", id="writes a file"),
        pytest.param("Obeying", "secret", "AssertionError", id="looks for a secret"),
        pytest.param("Obeying", "spin", "processor time", id="never ends"),
        pytest.param("Greedy", "", "before it has yielded the verdict", id="reads ahead"),
        pytest.param("Missing", "", "BrokenPlugin: .*hostile-scorers", id="cannot be loaded"),
        pytest.param("Unheard", "", "UnknownName: no scorer", id="does not exist"),
    ],
)
def test_a_scorer_that_fails_is_infrastructure(
    installed: Path, monkeypatch: pytest.MonkeyPatch, scorer: str, answer: str, problem: str
) -> None:
    monkeypatch.setattr(scoring_pool, "LIMITS", replace(scoring_pool.LIMITS, cpu_seconds=1.0))
    monkeypatch.setattr(scoring_pool, "_CPU_SECONDS_PER_ANSWER", 0.1)
    with pytest.raises(InfrastructureFault, match=f"lost at one of t0: .*{problem}") as caught:
        pooled(scorer, answer)
    assert caught.value.reason is Reason.CRASHED
