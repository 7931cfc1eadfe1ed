"""The section about one model: numbers, failed tasks, bounds, losses."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from tests.unit.evaluator.reports.report_pages import (
    losses,
    page_of,
    read,
    response,
    task,
    text_of,
    three_tasks,
    verdict,
)

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Aggregation, BuiltinScorer
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Baseline
from bitagent_evaluator.evaluation.results import write_summary
from bitagent_evaluator.evaluation.timeline import TIMELINE
from bitagent_evaluator.reports.error_words import ERRORS
from bitagent_evaluator.reports.page import build_page, render
from bitagent_evaluator.reports.results import ResultsError, read_results


def test_bounds_and_unanswered_tasks_are_shown(results_directory: Any) -> None:
    spent = verdict(1, False, error="budget_exceeded", detail="the 40 tokens were spent")
    directory = results_directory("m", [verdict(0, True), spent], [response(0)])
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["unanswered"] == {"budget_exceeded": 1}
    manifest |= {"max_prompt_tokens": 1000, "mean_answer_tokens": 20, "generate_seconds": 60}
    manifest |= {"thinking": "On", "max_thought_tokens": 64}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (section,) = build_page([(read_results(directory), None)], failures=9).sections
    names = ("thinking", "thought limit", "prompt limit", "unanswered")
    assert [row for row in section.facts if row[0] in names or row[0].endswith("answers")] == [
        ("thinking", "On (asked of the chat template)"),
        ("thought limit", "64 tokens, before the answer"),
        ("prompt limit", "1000 tokens"),
        ("budget of answers", "20 generated tokens for each of 2 tasks"),
        ("time for answers", "60 s"),
        ("unanswered", "1 budget_exceeded"),
    ]
    (directory / "manifest.json").write_text(json.dumps(manifest | {"unanswered": {"time_exceeded": 1}}))
    with pytest.raises(ResultsError, match="unanswered"):
        read_results(directory)


def test_page_has_the_columns_of_the_leaderboard(results_directory: Any) -> None:
    verdicts = [verdict(0, True, category="multiple"), verdict(1, False, category="live_relevance"), verdict(2, True)]
    shown = text_of(page_of(results_directory("one", verdicts))).replace(" ", "")
    assert "AstheBFCLleaderboardcountsNon-LiveMultipleAST100.00%RelevanceDetection0.00%" in shown
    others = results_directory("two", verdicts, scorer=BuiltinScorer.EXACT_MATCH)
    assert "BFCL leaderboard" not in text_of(page_of(others))


def test_page_names_what_the_overall_score_lacks(results_directory: Any) -> None:
    categories = ("irrelevance", "live_irrelevance", "memory_kv")
    verdicts = [verdict(number, True, category=name) for number, name in enumerate(categories)]
    shown = text_of(page_of(results_directory("one", verdicts)))
    assert "No Overall Acc: Non-Live AST Acc, Live Acc, Multi Turn Acc, Web Search Base" in shown
    assert "Memory KV," not in shown and "Memory Vector, Memory Recursive Summarization were not asked" in shown


def test_conversations_are_shown_turn_by_turn(results_directory: Any) -> None:
    course = {"turns": [[], []], "ground_truth": [["ls()", "cd('a')"], []], "classes": [], "initial_state": {}}
    talk = task(0, expects="State", ground_truth=None, conversation=course)
    said = response(0, "Done.").model_copy(update={"turns": [["[ls()]", "Found."], ["Done."]]})
    text = read(render(page_of(results_directory("one", [verdict(0, False)], [said]), tasks={"t0": talk}))).text
    assert "turn 1: ls(), cd('a')\nturn 2: no call" in text
    assert "turn 1: [ls()]\nturn 1: Found.\nturn 2: Done." in text


def test_without_tasks_the_answers_are_still_shown(results_directory: Any) -> None:
    text = text_of(page_of(three_tasks(results_directory, "one")))
    assert "--tasks" in text and "[add(a=0)]" in text
    made = page_of(three_tasks(results_directory, "two"))
    assert "expected" not in [label for of in made.sections[0].groups[0].tasks for label, _ in of.texts]


def test_failures_are_bounded(results_directory: Any) -> None:
    scores = [0.9, 0.2, 0.0, 0.5]
    directory = results_directory("partial", [verdict(i, False, score=score) for i, score in enumerate(scores)])
    section = page_of(directory, failures=3).sections[0]
    (group,) = section.groups
    assert [task.id for task in group.tasks] == ["t2", "t1", "t3"]
    assert (section.listed, section.listed_of) == (3, 4)
    assert section.errors == [("value_error:string", ERRORS["value_error:string"], 4)]
    (group,) = page_of(directory, failures=None).sections[0].groups
    assert [task.id for task in group.tasks] == ["t2", "t1", "t3", "t0"], "all without a bound"
    assert not section.charts, "nothing was answered"


def test_failures_are_grouped_and_can_be_filtered(results_directory: Any) -> None:
    errors = ["value_error:string", "no_response", "value_error:string", "value_error:others"]
    verdicts = [verdict(i, False, error=error, category=f"c{i % 2}") for i, error in enumerate(errors)]
    made = page_of(results_directory("m", verdicts, [response(0)]), tasks={f"t{i}": task(i) for i in range(4)})
    section = made.sections[0]
    assert [(group.result, len(group.tasks)) for group in section.groups] == [
        ("value_error:string", 2), ("no_response", 1), ("value_error:others", 1),
    ]  # fmt: skip
    assert all(group.words for group in section.groups)
    assert section.filters == {"error": sorted(set(errors)), "category": ["c0", "c1"], "functions": ["add"]}
    assert (section.functions, section.parameters) == ([("add", 4, 4)], [("a", 4)])
    tags = [attributes for tag, attributes in read(render(made)).tags if attributes.get("class") == "task"]
    assert [(of["data-error"], of["data-category"], of["data-functions"]) for of in tags][2] == (
        "no_response", "c1", "add",
    )  # fmt: skip


def test_old_results_have_no_seconds_of_an_attempt_that_generated_nothing(results_directory: Any) -> None:
    """Earlier versions wrote the seconds of the last attempt, also if it took all answers over."""
    directory = results_directory("m", [verdict(0, True)], [response(0)])
    seconds = PhaseSeconds(load="0.500", generate="0.000", score="0.250")
    write_summary(directory, EvaluateSummary(reason=Reason.EVALUATED, seconds=seconds))
    assert not any("generate" in caption for _, caption in page_of(directory).sections[0].headline)
    (directory / TIMELINE).write_text('{"seconds": [6.0, 8.0], "answers": [0, 3], "tokens": [0, 40]}')
    assert page_of(directory).sections[0].headline[-3:] == [
        ("6.0 s", "to load"), ("2.0 s", "to generate"), ("0.2 s", "to score"),
    ]  # fmt: skip


def test_page_of_losses(results_directory: Any) -> None:
    directory = losses(results_directory, "a", [0.5, 1.5, math.inf])
    tasks = {f"t{i}": task(i, expects=Expects.TEXT, ground_truth=None, reference=f"<i>Reference {i}") for i in range(3)}
    made = page_of(directory, tasks=tasks, failures=2)
    html, text = render(made), text_of(made)
    assert "inf mean loss, nats per byte" in re.sub(r"(?<=inf)(?=mean)", " ", text) and "of 3 samples measured" in text
    assert [(row.name, row.value, row.passed) for row in made.sections[0].categories] == [
        ("even", "inf", 1), ("odd", "1.500000", 1),
    ]  # fmt: skip
    assert "Samples by loss" in text and "0.500000, 1.500000, inf" in text
    samples = re.findall(r"<summary><code>(t\d)</code><span>([^<]+)</span>", html)
    assert samples == [("t2", "inf"), ("t1", "1.500000")]
    assert "&lt;i&gt;Reference 1" in html
    assert "Errors" not in text and "Failed tasks" not in text


def test_the_baseline_is_in_the_headline(results_directory: Any) -> None:
    best = Baseline(scorer="Bfcl", answer="an empty <answer>", score="0.250000")
    of = [verdict(i, i < 2) for i in range(4)]
    made = page_of(results_directory("a", of, baseline=best), failures=0)
    assert ("25.0 %", "baseline: an empty <answer>") in made.sections[0].headline
    assert "an empty &lt;answer&gt;" in render(made)
    without = page_of(results_directory("b", of), failures=0)
    assert not any("baseline" in caption for _, caption in without.sections[0].headline)


def test_kinds_that_weigh_equally_have_a_table(results_directory: Any) -> None:
    kinds = ["no call", "simple", "simple", "simple"]
    of = [verdict(i, i < 1, kind=kind) for i, kind in enumerate(kinds)]
    made = page_of(results_directory("a", of, aggregation=Aggregation.KINDS), failures=0)
    section = made.sections[0]
    assert [(row.name, row.value, row.total) for row in section.kinds] == [
        ("no call", "100.0 %", 1),
        ("simple", "0.0 %", 3),
    ]
    assert (section.overall.value, section.overall.score) == ("50.0 %", 0.5)
    assert "by kind of task" in text_of(made)
    plain = page_of(results_directory("b", [verdict(0, True)]), failures=0)
    assert plain.sections[0].kinds == [] and "by kind of task" not in text_of(plain)


def test_the_time_of_a_run_is_drawn_where_it_is_known(results_directory: Any) -> None:
    directory = results_directory("one", [verdict(1, True)], [response(1)])
    parts = ("Answers over time", "3.0 answers and 40 tokens a second", "seconds since the run began")
    before = render(page_of(directory))
    (directory / TIMELINE).write_text('{"seconds": [6.0, 7.0], "answers": [0, 3], "tokens": [0, 40]}')
    after = render(page_of(directory))
    assert all(part in after for part in parts) and not any(part in before for part in parts)
