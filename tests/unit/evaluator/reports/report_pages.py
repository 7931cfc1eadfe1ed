"""Results of a model on a few tasks, and the text of a page about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.reports.page import Page, build_page, render
from bitagent_evaluator.reports.results import read_results

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
