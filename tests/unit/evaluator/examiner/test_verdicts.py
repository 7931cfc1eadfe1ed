"""Verdicts: every form of an answer, hostile answers, processes that are lost, and nothing of the truth."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.evaluator.examiner.conftest import right_answer

from bitagent_crds.examiner import MAX_ANSWER, ExaminerReason, ExaminerVerdict, Timing, bounded_answer
from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.examiner import verdicts
from bitagent_evaluator.examiner.pools import RequestRefused
from bitagent_evaluator.examiner.verdicts import LIMITS, ONLINE_SYNTAXES, Scorers
from bitagent_evaluator.parsing import MAX_CHARACTERS, AnswerSyntax
from bitagent_evaluator.scoring.sandboxed import LIMITS as SCORER_LIMITS

if TYPE_CHECKING:
    from tests.unit.evaluator.examiner.conftest import Volume

HERE = "tests.unit.evaluator.examiner.test_verdicts"
WEATHER = Task(
    id="w",
    source="jsonl",
    category="c",
    messages=[{"role": "user", "content": "Weather in Oslo?"}],
    functions=[
        {
            "name": "get_weather",
            "description": "",
            "parameters": {
                "type": "dict",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        }
    ],
    ground_truth=[{"get_weather": {"city": ["Oslo"], "days": [2]}}],
)
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}'


@pytest.fixture(scope="module")
def scorers() -> Iterator[Scorers]:
    with Scorers() as made:
        yield made


def test_every_syntax_that_the_evaluator_reads() -> None:
    assert set(ONLINE_SYNTAXES) == set(AnswerSyntax)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("[get_weather(city='Oslo', days=2)]", id="Python list"),
        pytest.param("get_weather(city='Oslo', days=2)", id="Python call"),
        pytest.param(f"[{CALL}]", id="JSON list"),
        pytest.param(CALL, id="JSON call"),
        pytest.param(json.dumps({"tool_calls": [{"function": json.loads(CALL)}]}), id="OpenAI"),
        pytest.param(f"<tool_call>{CALL}</tool_call>", id="tool_call block"),
        pytest.param("<think>Oslo it is.</think>\n[get_weather(city='Oslo', days=2)]", id="after a thought"),
    ],
)
def test_forms_of_a_right_answer(scorers: Scorers, answer: str) -> None:
    assert scorers.verdict("Bfcl", WEATHER, answer).score == 1.0


@pytest.mark.parametrize("scorer", ["Bfcl", "ExactMatch"])
def test_official_tasks(scorers: Scorers, volume: Volume, scorer: str) -> None:
    for task in (
        *(volume.first(calls=calls) for calls in (1, 2)),
        *(volume.first(language=language) for language in (Language.JAVA, Language.JAVASCRIPT)),
        *(volume.first(expects) for expects in (Expects.NO_CALL, Expects.ANY_CALL)),
    ):
        if scorer == "ExactMatch" and task.expects is Expects.CALLS:
            continue
        right, wrong = scorers.verdict(scorer, task, right_answer(task)), scorers.verdict(scorer, task, "[[")
        assert (right.score, right.points, right.maximum) == (1.0, 1.0, 1.0)
        assert [each.name for each in right.criteria] == [scorer]
        if task.expects is Expects.CALLS:
            assert wrong.score == 0.0
            assert wrong.criteria[0].detail


def test_criteria_of_the_subnet(scorers: Scorers) -> None:
    right = scorers.verdict("BitAgent202411", WEATHER, "[get_weather(city='Oslo', days=2)]")
    assert (right.score, right.points) == (1.0, right.maximum)
    wrong = scorers.verdict("BitAgent202411", WEATHER, "[get_weather(city='Bergen', days=2)]")
    assert 0 < wrong.score < 1
    missed = {each.name: each.detail for each in wrong.criteria if each.points < each.maximum}
    assert set(missed) == {"argument_values"}
    assert missed["argument_values"]


TIMED = ("does_not_error", "speed")


@pytest.mark.parametrize(
    ("seconds", "points"),
    [pytest.param(1.0, 0.75, id="fast"), pytest.param(14.0, 0.35, id="slow"), pytest.param(16.0, 0.25, id="too late")],
)
def test_time_counts_by_the_subnets_rule(scorers: Scorers, seconds: float, points: float) -> None:
    timing = Timing(seconds=seconds, timeout_seconds=15)
    plain = scorers.verdict("BitAgent202411", WEATHER, "[get_weather(city='Oslo', days=2)]")
    timed = scorers.verdict("BitAgent202411", WEATHER, "[get_weather(city='Oslo', days=2)]", timing)
    assert [each.name for each in timed.criteria[:2]] == list(TIMED)
    assert timed.points == pytest.approx(plain.points + points)
    assert timed.score == pytest.approx((plain.maximum + points) / (plain.maximum + 0.75))


def test_other_scorers_have_no_criteria_about_time(scorers: Scorers) -> None:
    timing = Timing(seconds=16, timeout_seconds=15)
    assert scorers.verdict("Bfcl", WEATHER, "[get_weather(city='Oslo', days=2)]", timing).score == 1.0


@pytest.mark.parametrize("scorer", ["Bfcl", "BfclStrict", "BitAgent202411", "BitAgent202504", "ExactMatch"])
def test_no_verdict_tells_the_right_answer(scorers: Scorers, scorer: str) -> None:
    for answer in ("[get_weather(city='Bergen', days=3)]", "[get_weather(town='x')]", "[other()]", "[[", ""):
        text = scorers.verdict(scorer, WEATHER, answer).model_dump_json()
        assert not any(secret in text for secret in ("Oslo", "get_weather", "Bergen")), text


@pytest.mark.parametrize("scorer", ["Loss", "NoSuchScorer"])
def test_scorers_that_judge_no_answers(scorers: Scorers, scorer: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        scorers.verdict(scorer, WEATHER, "")
    assert refused.value.reason is ExaminerReason.SCORER_REFUSED
    assert scorer in refused.value.message


HOSTILE = {
    "a megabyte": "a" * (1 << 20),
    "deep brackets": "[" * 60_000,
    "deep objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "deep parentheses": "[f(a=" + "(" * 5_000 + "1" + ")" * 5_000 + ")]",
    "control characters": "\x00\x1b[2J" * 20_000,
    "marks and bidi": "\u202e\u2028" * 30_000,
    "lone surrogates": "\ud800" * 60_000,
    "open tags": "<tool_call>" * 6_000,
    "open functions": "<function=" * 6_000,
    "blanks": " " * 65_000,
    "open thoughts": "<think>" * 9_000,
    "a power": "[f(a=10**10**10)]",
    "a product": "[f(a='a'*10**10)]",
    "a long number": "[f(a=" + "9" * 60_000 + ")]",
    "signs": "[f(a=" + "-" * 60_000 + "1)]",
    "aliases of YAML": "a: &a [x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n" * 500,
    "many calls": "[" + "f(a=1)," * 9_000 + "]",
    "reWOO": "#E1 = f[" * 8_000,
    "fences": "```python\n" * 6_500,
}


@pytest.mark.parametrize("scorer", ["Bfcl", "BitAgent202411"])
def test_hostile_answers_score_0_in_bounded_time(scorers: Scorers, scorer: str) -> None:
    pid = next(iter(scorers.pids), None)
    for name, hostile in HOSTILE.items():
        started = time.monotonic()
        verdict = scorers.verdict(scorer, WEATHER, bounded_answer(hostile))
        assert verdict.score < 0.3, name
        assert time.monotonic() - started < 60, name
    assert pid is None or pid in scorers.pids, "none of them has cost the process"


def test_what_is_cut_is_longer_than_what_is_read() -> None:
    assert MAX_ANSWER > MAX_CHARACTERS
    assert len(bounded_answer("\ud800" * (1 << 20))) == MAX_ANSWER


def test_sandboxes_of_scorers_fit_into_the_examiners() -> None:
    assert LIMITS.memory_bytes >= SCORER_LIMITS.memory_bytes, "a process cannot raise its own limit"


class Misbehaves:
    """A worker that does what the answer says."""

    def __init__(self, scorer: str, *syntaxes: str) -> None:
        if scorer == "ExactMatch":
            raise RuntimeError("BrokenPlugin: scorer ExactMatch cannot be used")

    def handle(self, body: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, Any]:
        match json.loads(blobs["responses"])["text"]:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "spin":
                while True:
                    pass
            case "eat":
                return {"verdicts": ["x" * (2 << 30)]}
            case "flood":
                return {"verdicts": ["x" * (2 << 20)]}
            case "raise":
                raise ValueError("get_weather expects Oslo")
            case "plugin":
                raise RuntimeError("BrokenPlugin")
            case "inner":
                raise verdicts.SandboxUnavailable("the machine is overloaded")
        return {"verdicts": [Verdict(id="w", category="c", passed=True, score=1.0).model_dump(mode="json")]}


QUICK = replace(LIMITS, cpu_seconds=1.0, wall_factor=10.0)


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[Scorers]:
    with Scorers(worker=f"{HERE}:Misbehaves", limits=QUICK) as made:
        yield made


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("kill", ExaminerReason.SCORER_LOST),
        ("crash", ExaminerReason.ANSWER_TOO_COSTLY),
        ("spin", ExaminerReason.ANSWER_TOO_COSTLY),
        ("eat", ExaminerReason.ANSWER_TOO_COSTLY),
        ("flood", ExaminerReason.ANSWER_TOO_COSTLY),
        ("raise", ExaminerReason.ANSWER_BREAKS_SCORER),
        ("inner", ExaminerReason.SCORER_LOST),
    ],
)
def test_what_a_lost_process_means(misbehaving: Scorers, answer: str, reason: ExaminerReason) -> None:
    with pytest.raises(RequestRefused) as refused:
        misbehaving.verdict("Bfcl", WEATHER, answer)
    assert refused.value.reason is reason
    assert reason.by_answer is (reason is not ExaminerReason.SCORER_LOST)
    assert "Oslo" not in refused.value.message
    assert misbehaving.verdict("Bfcl", WEATHER, "fine").score == 1.0, "the next answer has a process"


def test_a_process_that_is_killed_between_answers_costs_nothing(misbehaving: Scorers) -> None:
    misbehaving.verdict("Bfcl", WEATHER, "fine")
    (pid,) = misbehaving.pids
    os.kill(pid, signal.SIGKILL)
    assert misbehaving.verdict("Bfcl", WEATHER, "fine").score == 1.0
    assert misbehaving.pids != [pid]


def test_a_scorer_that_cannot_be_loaded_is_refused(misbehaving: Scorers) -> None:
    with pytest.raises(RequestRefused) as refused:
        misbehaving.verdict("ExactMatch", WEATHER, "fine")
    assert refused.value.reason is ExaminerReason.SCORER_REFUSED


def test_an_answer_waits_for_those_before_it_only_so_long(
    misbehaving: Scorers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "TURN_SECONDS", 0.05)
    room = misbehaving._room("Bfcl")
    with room._turn, pytest.raises(RequestRefused) as refused:
        misbehaving.verdict("Bfcl", WEATHER, "fine")
    assert refused.value.reason is ExaminerReason.BUSY


def test_a_verdict_has_a_maximum() -> None:
    with pytest.raises(ValueError, match="maximum"):
        ExaminerVerdict(points=0, maximum=0, score=0)
