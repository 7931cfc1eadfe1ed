"""The report: one page that needs nothing else and that no answer can break out of."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tests.unit.evaluator.reports.report_pages import (
    DIGEST,
    HOSTILE,
    page_of,
    read,
    response,
    task,
    three_tasks,
    verdict,
)

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import PhaseSeconds
from bitagent_evaluator.evaluation.results import write_summary
from bitagent_evaluator.reports.page import render


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


def test_long_names_of_categories_break_after_underscores(results_directory: Any) -> None:
    verdicts = [verdict(i, True, category="live_simple<b>") for i in range(2)]
    html = render(page_of(results_directory("m", verdicts, [response(i) for i in range(2)])))
    assert "<td>live_<wbr>simple&lt;b&gt;</td>" in html


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
