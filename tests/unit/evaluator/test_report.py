"""`bitagent-eval report`: one page that stands alone and that no answer can break out of."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import PhaseSeconds
from bitagent_crds.evaluation import Scorer
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import Expects, Response, Task, Verdict
from bitagent_evaluator.cli import report as verb
from bitagent_evaluator.reports.failures import MAX_TEXT, expected, visible
from bitagent_evaluator.reports.page import render
from bitagent_evaluator.reports.plots import cumulative, histogram
from bitagent_evaluator.reports.reading import read_results
from bitagent_evaluator.reports.view import page
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.tasks.files import TASKS, digest_of, encode_tasks

HOSTILE = '</pre><script>alert("x")</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\x00\u202e&amp;'


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


@pytest.fixture
def task_set(tmp_path: Path) -> tuple[Path, str]:
    """A tasks.jsonl of three tasks, and its digest."""
    content = encode_tasks(
        [task(0), task(1), task(2, alterations=[{"name": "FunctionMask", "parameters": {"add": "q"}}])]
    )
    path = tmp_path / TASKS
    path.write_bytes(content)
    return path, digest_of(content)


def write(results_directory: Any, name: str, digest: str, *, answer: str = "[add(a=0)]", passed: int = 1) -> Path:
    verdicts = [verdict(i, i < passed) for i in range(3)]
    made: Path = results_directory(name, verdicts, [response(0), response(2, answer)], task_set_digest=digest)
    return made


def test_page_of_one_model(results_directory: Any, task_set: tuple[Path, str], tmp_path: Path) -> None:
    tasks, digest = task_set
    directory, out = write(results_directory, "one", digest, answer="[sub(a=2)]"), tmp_path / "report.html"
    seconds = PhaseSeconds(load="6.500", generate="1.000", score="0.250")
    write_summary(directory, EvaluateSummary(reason=Reason.EVALUATED, seconds=seconds))
    assert verb.main([str(directory), "--tasks", str(tasks), "--out", str(out)]) == 0
    text = read(out.read_text()).text
    for told in (
        "acme/one@cccccccc", "33.3 %", "of 3 tasks passed", digest, "value_error:string", "Add 2 and one", "[sub(a=2)]",
        "add(a=1 or 1.0, note=\"x\" or left out)", "FunctionMask", "The model gave no answer.", "42 tokens in, 9 out", "6.5 s", "vllm 1",
    ):  # fmt: skip
        assert told in text, told
    assert "Add 0 and one" not in text, "passed tasks are not shown"
    assert "Leaderboard" not in text


def test_page_has_the_columns_of_the_leaderboard(results_directory: Any) -> None:
    verdicts = [verdict(0, True, category="multiple"), verdict(1, False, category="live_relevance"), verdict(2, True)]
    html = render(page([(read_results(results_directory("one", verdicts)), None)], failures=9))
    shown = "".join(read(html).text.split())
    assert "AstheBFCLleaderboardcountsNon-LiveMultipleAST100.00%RelevanceDetection0.00%" in shown
    others = results_directory("two", verdicts, scorer=Scorer.EXACT_MATCH)
    assert "BFCL leaderboard" not in render(page([(read_results(others), None)], failures=9))


def test_conversations_are_shown_turn_by_turn(results_directory: Any) -> None:
    course = {"turns": [[], []], "ground_truth": [["ls()", "cd('a')"], []], "classes": [], "initial_state": {}}
    talk = task(0, expects="State", ground_truth=None, conversation=course)
    said = response(0, "Done.").model_copy(update={"turns": [["[ls()]", "Found."], ["Done."]]})
    html = render(
        page([(read_results(results_directory("one", [verdict(0, False)], [said])), {"t0": talk})], failures=9)
    )
    text = read(html).text
    assert "turn 1: ls(), cd('a')\nturn 2: no call" in text
    assert "turn 1: [ls()]\nturn 1: Found.\nturn 2: Done." in text


def test_answer_cannot_become_markup(results_directory: Any, task_set: tuple[Path, str]) -> None:
    tasks = {
        f"t{i}": task(i, messages=[{"role": HOSTILE, "content": HOSTILE}], functions=[{"name": HOSTILE}])
        for i in range(3)
    }
    verdicts = [
        verdict(i, False, error=HOSTILE, detail=HOSTILE, category=HOSTILE, criteria={HOSTILE: (0.5, 1.0)})
        for i in range(3)
    ]
    directory = results_directory("evil", verdicts, [response(i, HOSTILE) for i in range(3)])
    html = render(page([(read_results(directory), tasks)], failures=9))
    reader = read(html)
    assert "&lt;script&gt;" in html and '<script>alert("x")</script>' in reader.text
    assert not {"script", "img", "iframe", "object", "link", "base", "form"} & {tag for tag, _ in reader.tags}
    assert "{{ 7 * 7 }}" in reader.text, "no template inside a template"
    assert "\x00" not in html and "\u202e" not in html and r"\u202e" in reader.text


def test_page_asks_for_nothing(results_directory: Any, task_set: tuple[Path, str]) -> None:
    html = render(page([(read_results(write(results_directory, "one", task_set[1])), None)], failures=9))
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
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "prefers-color-scheme: dark" in html


def test_without_tasks_the_answers_are_still_shown(results_directory: Any, task_set: tuple[Path, str]) -> None:
    text = read(render(page([(read_results(write(results_directory, "one", task_set[1])), None)], failures=9))).text
    assert "--tasks" in text and "[add(a=0)]" in text and "expected" not in text.replace("expected answers", "")


def test_several_models_make_a_leaderboard(results_directory: Any, task_set: tuple[Path, str], tmp_path: Path) -> None:
    _, digest = task_set
    worse, best = (
        write(results_directory, "worse", digest, passed=1),
        write(results_directory, "best", digest, passed=3),
    )
    equal = write(results_directory, "equal", digest, passed=3)
    out = tmp_path / "report.html"
    assert verb.main([str(worse), str(best), str(equal), "--out", str(out)]) == 0
    board = page([(read_results(path), None) for path in (worse, best, equal)], failures=0).leaderboard
    assert board is not None and board.one_task_set
    assert [(place.rank, place.row.name.split("@")[0]) for place in board.places] == [
        (1, "acme/best"),
        (1, "acme/equal"),
        (3, "acme/worse"),
    ]
    assert board.places[0].behind == ""
    assert board.places[2].behind.startswith("-66.7 (-100.0 to") and board.places[2].behind.endswith(
        "no difference shown"
    )
    reader = read(out.read_text())
    anchors = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert anchors == {f"#{attributes['id']}" for tag, attributes in reader.tags if tag == "section"}


def test_leaderboard_over_different_tasks_says_so(results_directory: Any, task_set: tuple[Path, str]) -> None:
    results = [
        read_results(write(results_directory, name, digest))
        for name, digest in (("a", task_set[1]), ("b", "sha256:" + "7" * 64))
    ]
    text = read(render(page([(one, None) for one in results], failures=0))).text
    assert "different task sets" in text and "777777777777" in text


def test_failures_are_bounded_and_the_worst_come_first(results_directory: Any) -> None:
    scores = [0.9, 0.2, 0.0, 0.5]
    directory = results_directory("partial", [verdict(i, False, score=score) for i, score in enumerate(scores)])
    section = page([(read_results(directory), None)], failures=3).sections[0]
    assert [failure.id for failure in section.failures] == ["t2", "t1", "t3"]
    assert section.failed == 4 and section.errors == [("value_error:string", 4)]
    assert not section.figures, "nothing was answered"


@pytest.mark.parametrize("wrong", ["other tasks", "no tasks", "no results", "no folder"])
def test_unusable_input(results_directory: Any, task_set: tuple[Path, str], tmp_path: Path, wrong: str) -> None:
    tasks, digest = task_set
    directory = write(results_directory, "one", "sha256:" + "7" * 64 if wrong == "other tasks" else digest)
    out = tmp_path / ("none/report.html" if wrong == "no folder" else "report.html")
    tasks = tmp_path / "none" if wrong == "no tasks" else tasks
    directory = tmp_path if wrong == "no results" else directory
    assert verb.main([str(directory), "--tasks", str(tasks), "--out", str(out)]) == (1 if wrong == "no folder" else 2)
    assert not out.exists()


def test_limited_run_is_about_the_first_tasks(
    results_directory: Any, task_set: tuple[Path, str], tmp_path: Path
) -> None:
    digest = digest_of(encode_tasks([task(0), task(1)]))
    directory = results_directory("first", [verdict(0, True), verdict(1, False)], task_set_digest=digest)
    assert verb.main([str(directory), "--tasks", str(task_set[0]), "--out", str(tmp_path / "report.html")]) == 0


def test_verdicts_on_other_tasks_are_refused(
    results_directory: Any, task_set: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = results_directory("other", [verdict(99, False)], task_set_digest=digest_of(encode_tasks([task(0)])))
    assert verb.main([str(directory), "--tasks", str(task_set[0]), "--out", str(tmp_path / "report.html")]) == 2
    assert "has a verdict on t99" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expects": Expects.NO_CALL, "ground_truth": None}, "no call"),
        ({"expects": Expects.ANY_CALL, "ground_truth": None}, "any call"),
        ({"ground_truth": [{"f": {}}, {"g": {"x": [["a"]]}}]}, 'f()\ng(x=["a"])'),
    ],
    ids=["no call", "any call", "two calls"],
)
def test_expected(changes: dict[str, Any], told: str) -> None:
    assert expected(task(0, **changes)) == told


@given(st.text(max_size=50))
def test_visible_text_has_no_invisible_characters(text: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in visible(text))


def test_long_text_is_cut() -> None:
    shown = visible("x" * (MAX_TEXT + 1_234))
    assert len(shown) < MAX_TEXT + 40 and shown.endswith("(1,234 more characters)")


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=60), st.lists(st.integers(0, 100_000), max_size=60))
def test_histogram_stays_inside_and_counts_everything(passed: list[int], failed: list[int]) -> None:
    figure = histogram([("passed", passed), ("failed", failed)], x_label="tokens")
    assert figure is not None
    counted = sum(int(bar.title.split(": ")[1].split()[0]) for bar in figure.bars)
    assert counted == len(passed) + len(failed)
    assert all(figure.left <= bar.x and bar.x + bar.width <= figure.right + 1 for bar in figure.bars)
    assert all(figure.top - 0.1 <= bar.y and bar.y + bar.height <= figure.bottom + 0.1 for bar in figure.bars)
    assert len(figure.x_ticks) <= 8 and len(figure.y_ticks) <= 6


def test_cumulative_is_a_staircase_to_the_top() -> None:
    figure = cumulative([1, 1, 3, 4], x_label="tokens")
    assert figure is not None
    heights = [float(part.split("V")[1]) for part in figure.path.split("H")[1:]]
    middle = (figure.top + figure.bottom) / 2
    assert heights == [middle, pytest.approx((figure.top + middle) / 2), figure.top]


def test_figures_of_nothing() -> None:
    assert histogram([("passed", [])], x_label="tokens") is None
    assert cumulative([], x_label="tokens") is None
