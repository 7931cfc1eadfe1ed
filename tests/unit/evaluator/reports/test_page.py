"""The report: one page that needs nothing else and that no answer can break out of."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Aggregation, BuiltinScorer
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_set import Baseline, Expects, Task
from bitagent_evaluator.evaluation.results import fault_summary, write_summary
from bitagent_evaluator.evaluation.timeline import TIMELINE
from bitagent_evaluator.reports.error_words import ERRORS
from bitagent_evaluator.reports.page import Page, build_page, render
from bitagent_evaluator.reports.results import FaultResult, ResultsError, read_results
from bitagent_evaluator.support.faults import ModelFault

HOSTILE = '</pre><script>alert("x")</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\x00\u202e&amp;'
DIGEST = "sha256:" + "1" * 64


def task(i: int, **changes: Any) -> Task:
    content: dict[str, Any] = {
        "id": f"t{i}",
        "source": "jsonl",
        "category": "sums",
        "messages": [{"role": "user", "content": f"Add {i} and one"}],
        "functions": [{"name": "add", "parameters": {"type": "dict", "properties": {}, "required": []}}],
        "ground_truth": [{"add": {"a": [i, float(i)], "note": ["", "x"]}}],
    }
    return Task.model_validate(content | changes)


def verdict(i: int, passed: bool, **changes: Any) -> Verdict:
    content: dict[str, Any] = {"id": f"t{i}", "category": "sums", "passed": passed, "score": float(passed)}
    failed = {"error": "value_error:string", "detail": "Invalid value for parameter 'a'"}
    return Verdict.model_validate(content | ({} if passed else failed) | changes)


def response(i: int, text: str = "[add(a=0)]", tokens: int = 9) -> Response:
    return Response(id=f"t{i}", text=text, finish_reason="stop", prompt_tokens=40 + i, completion_tokens=tokens)


class Reader(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def page_of(*directories: Path, tasks: dict[str, Task] | None = None, failures: int | None = 9) -> Page:
    return build_page([(read_results(directory), tasks) for directory in directories], failures=failures)


def text_of(made: Page) -> str:
    """The text of a page with single spaces."""
    return " ".join(read(render(made)).text.split())


def three_tasks(results_directory: Any, name: str, *, passed: int = 1, answer: str = "[add(a=0)]", **more: Any) -> Path:
    """Results on three tasks, of which the first `passed` are passed; the second was not answered."""
    verdicts = [verdict(i, i < passed) for i in range(3)]
    made: Path = results_directory(name, verdicts, [response(0), response(2, answer)], **more)
    return made


def test_page_of_one_model(results_directory: Any) -> None:
    directory = three_tasks(results_directory, "one", answer="[sub(a=2)]")
    seconds = PhaseSeconds(load="6.500", generate="1.000", score="0.250")
    write_summary(directory, EvaluateSummary(reason=Reason.EVALUATED, seconds=seconds))
    tasks = {f"t{i}": task(i) for i in range(2)}
    tasks["t2"] = task(2, alterations=[{"name": "FunctionMask", "parameters": {"add": "q"}}])
    text = read(render(page_of(directory, tasks=tasks))).text
    for part in (
        "acme/one@cccccccc", "33.3 %", "of 3 tasks passed", DIGEST, "value_error:string", "Add 2 and one", "[sub(a=2)]",
        "add(a=2 or 2.0, note=\"x\" or left out)", "FunctionMask", "The model gave no answer.", "42 tokens in, 9 out",
        "6.5 s", "vllm 1",
    ):  # fmt: skip
        assert part in text, part
    assert "Add 0 and one" not in text, "passed tasks are not shown"
    assert "Leaderboard" not in text


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


def test_the_time_of_a_run_is_drawn_where_it_is_known(results_directory: Any) -> None:
    directory = results_directory("one", [verdict(1, True)], [response(1)])
    parts = ("Answers over time", "3.0 answers and 40 tokens a second", "seconds since the run began")
    before = render(page_of(directory))
    (directory / TIMELINE).write_text('{"seconds": [6.0, 7.0], "answers": [0, 3], "tokens": [0, 40]}')
    after = render(page_of(directory))
    assert all(part in after for part in parts) and not any(part in before for part in parts)


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


def test_answer_cannot_become_markup(results_directory: Any) -> None:
    tasks = {
        f"t{i}": task(i, messages=[{"role": HOSTILE, "content": HOSTILE}], functions=[{"name": HOSTILE}])
        for i in range(3)
    }
    verdicts = [
        verdict(i, False, error=HOSTILE, detail=HOSTILE, category=HOSTILE, criteria={HOSTILE: (0.5, 1.0)})
        for i in range(3)
    ]
    directory = results_directory("evil", verdicts, [response(i, HOSTILE) for i in range(3)])
    html = render(page_of(directory, tasks=tasks))
    assert "".join(html.split()).isprintable()
    reader = read(html)
    assert "&lt;script&gt;" in html and '<script>alert("x")</script>' in reader.text
    assert not {"img", "iframe", "object", "link", "base"} & {tag for tag, _ in reader.tags}
    assert [tag for tag, _ in reader.tags if tag in ("script", "form")] == ["form", "script"], "the page's own"
    assert "{{ 7 * 7 }}" in reader.text, "no template inside a template"
    assert "\x00" not in html and "\u202e" not in html and r"\u202e" in reader.text


def test_page_asks_for_nothing(results_directory: Any) -> None:
    html = render(page_of(three_tasks(results_directory, "one")))
    reader = read(html)
    loading = [
        (tag, name)
        for tag, attributes in reader.tags
        for name in attributes
        if name in ("src", "href", "action") or name.startswith("on")
    ]
    assert not loading
    assert not re.search(r"url\(|@import|https?:", html)
    policy = next(a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; form-action 'none'; "
        "base-uri 'none'"
    )
    assert "prefers-color-scheme: dark" in html


def test_without_tasks_the_answers_are_still_shown(results_directory: Any) -> None:
    text = text_of(page_of(three_tasks(results_directory, "one")))
    assert "--tasks" in text and "[add(a=0)]" in text
    made = page_of(three_tasks(results_directory, "two"))
    assert "expected" not in [label for of in made.sections[0].groups[0].tasks for label, _ in of.texts]


def test_several_models_make_a_leaderboard(results_directory: Any) -> None:
    models = [three_tasks(results_directory, name, passed=n) for name, n in (("worse", 1), ("same", 3), ("best", 3))]
    made = page_of(*models, failures=0)
    board = made.leaderboard
    assert board is not None and board.one_task_set
    assert [(place.rank, place.row.name.split("@")[0]) for place in board.places] == [
        (1, "acme/best"), (1, "acme/same"), (3, "acme/worse"),
    ]  # fmt: skip
    assert board.places[0].remark == ""
    assert re.fullmatch(r"-66\.7 \(-9\d\.\d to .*\), no difference shown", board.places[2].remark)
    reader = read(render(made))
    anchors = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert anchors == {f"#{attributes['id']}" for tag, attributes in reader.tags if tag == "section"}


def test_leaderboard_over_different_tasks_says_so(results_directory: Any) -> None:
    others = three_tasks(results_directory, "b", task_set_digest="sha256:" + "7" * 64)
    text = text_of(page_of(three_tasks(results_directory, "a"), others))
    assert "different task sets" in text and "777777777777" in text


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


def test_texts_of_many_failures_are_shortened(results_directory: Any) -> None:
    """A thousand failures with long texts make a page of a few megabytes, and the worst are in full."""
    long = "x" * 5_000
    verdicts = [verdict(i, False) for i in range(1_000)]
    tasks = {f"t{i}": task(i, messages=[{"role": "user", "content": long}]) for i in range(1_000)}
    made = page_of(
        results_directory("m", verdicts, [response(i, long) for i in range(1_000)]), tasks=tasks, failures=None
    )
    (group,) = made.sections[0].groups
    sizes = [len(of.texts[0][1] or "") for of in group.tasks]
    assert len(group.tasks) == 1_000 and sizes[0] == 5_000 and 300 < sizes[-1] < 500
    assert len(render(made)) < 4_000_000


def test_the_diagnosis_is_on_top_and_on_the_leaderboard(results_directory: Any) -> None:
    cut = Response(id="t0", text="", finish_reason="length", prompt_tokens=1, completion_tokens=256)
    bad = results_directory("bad", [verdict(0, False, error="ast_decoder:decoder_failed")], [cut])
    good = results_directory("good", [verdict(0, True)], [response(0)])
    made = page_of(good, bad)
    assert made.leaderboard is not None
    assert [bool(place.diagnosis) for place in made.leaderboard.places] == [False, True]
    first, second = made.sections
    assert not first.findings
    (finding,) = second.findings
    assert finding.examples == ["t0"] and finding.share == 1.0 and finding.cause and finding.remedy
    text = text_of(made)
    assert text.index("Nothing was noticed") < text.index(finding.cause) < text.rindex("Score by category")


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


def test_a_page_has_no_folders(results_directory: Any, tmp_path: Path) -> None:
    made = []
    for name, repo in (("a", "/home/someone/models/tiny"), ("b", "../elsewhere/tiny"), ("c", ".")):
        directory = results_directory(name, [verdict(0, False)], [response(0)])
        manifest = json.loads((directory / "manifest.json").read_text()) | {"repo": repo, "commit": None}
        (directory / "manifest.json").write_text(json.dumps(manifest))
        made.append(directory)
    html = render(page_of(*made))
    assert {row.overall.name for row in page_of(*made).sections} == {"tiny (a)", "tiny (b)", "c"}
    assert not any(part in html for part in ("/home", "someone", "elsewhere", str(tmp_path)))


def fault(directory: Path) -> FaultResult:
    why = ModelFault(Reason.TEMPLATE_REFUSED, "<b>roles</b> must alternate")
    return FaultResult(directory, fault_summary(why, task_set_digest=DIGEST))


@pytest.mark.parametrize(
    ("passed", "ranks"),
    [([], []), ([0], [1, 1]), ([0, 2], [1, 2, 2])],
    ids=["alone", "beside an honest 0", "beside several"],
)
def test_a_model_at_fault_shares_the_rank_of_an_honest_score_of_0(
    results_directory: Any, tmp_path: Path, passed: list[int], ranks: list[int]
) -> None:
    models = [(read_results(three_tasks(results_directory, f"m{n}", passed=n)), None) for n in passed]
    made = build_page(models, [fault(tmp_path / "faulty")], failures=1)
    html = render(made)
    assert "TemplateRefused: &lt;b&gt;roles" in html and "<b>roles" not in html
    assert "different task sets" not in html
    if made.leaderboard is None:
        assert passed == [] and made.title == "faulty"
        return
    assert [place.rank for place in made.leaderboard.places] == ranks
    last = made.leaderboard.places[-1]
    assert (last.row.name, last.anchor, last.row.total) == ("faulty", made.faults[0].anchor, 0)


def losses(results_directory: Any, name: str, values: Sequence[float], **more: Any) -> Path:
    """Results of losses on samples of two categories."""
    verdicts = [
        Verdict(
            id=f"t{i}",
            category="odd" if i % 2 else "even",
            passed=math.isfinite(loss),
            score=math.exp(-loss),
            loss=loss,
        )
        for i, loss in enumerate(values)
    ]
    made: Path = results_directory(name, verdicts, scorer=BuiltinScorer.LOSS, **more)
    return made


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


def test_models_are_ordered_by_loss_where_scores_are_equal(results_directory: Any) -> None:
    models = (("worse", 20.5), ("better", 20.4), ("same", 20.4))
    made = page_of(*(losses(results_directory, name, [loss] * 8) for name, loss in models), failures=0)
    assert made.leaderboard is not None
    assert [(p.rank, p.row.name.split("@")[0], p.loss, p.remark) for p in made.leaderboard.places] == [
        (1, "acme/better", "20.400000", ""),
        (1, "acme/same", "20.400000", "loss +0.000 (+0.000 to +0.000), no difference shown"),
        (3, "acme/worse", "20.500000", "loss +0.100 (+0.100 to +0.100)"),
    ]
    assert "loss 20.400000" in text_of(made)


def test_results_of_one_task_set_that_cannot_be_compared_are_refused(results_directory: Any) -> None:
    few = results_directory("few", [verdict(0, True)])
    with pytest.raises(ResultsError, match="different tasks"):
        page_of(three_tasks(results_directory, "three"), few)
