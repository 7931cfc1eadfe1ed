"""Rewriting through the fake endpoint, with the real embedding and no waiting between requests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import AlterationManifest, Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.alterations.base import AlterationContext
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.alterations.rewrite import rewrite
from bitagent_evaluator.support.embedding import MiniLM
from bitagent_evaluator.tasks.files import encode_tasks


@pytest.fixture(scope="session")
def embedding() -> MiniLM:
    """Load the real embedding once; it computes the vector of a text once."""
    loaded = MiniLM()
    loaded.vector = functools.cache(loaded.vector)  # type: ignore[method-assign]
    return loaded


@pytest.fixture
def endpoint(fake_endpoint: Any, embedding: MiniLM, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The fake endpoint, for alterations that use the loaded embedding and do not wait between attempts."""
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)
    monkeypatch.setattr(rewrite, "MiniLM", lambda: embedding)
    return fake_endpoint


@pytest.fixture
def reword_politely(endpoint: Any, replies: Any) -> Callable[[str], str]:
    """Let the endpoint reword every question well; return the rewording of a question."""

    def politely(question: str) -> str:
        return f"Could you please help me out with the following request of mine: {question}"

    endpoint.script = lambda request: replies.completion(politely(request.question))
    return politely


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    """Build a task of one question and one function."""

    def make(says: str, truth: list[dict[str, Any]] | None = None, **more: Any) -> Task:
        parameters = {"type": "dict", "properties": {}, "required": []}
        functions = [{"name": "get_weather", "description": "", "parameters": parameters}]
        made: dict[str, Any] = {"id": "t", "source": "test", "category": "mine", "functions": functions}
        made |= {"expects": Expects.NO_CALL if truth is None else Expects.CALLS, "ground_truth": truth}
        return Task.model_validate(made | {"messages": [{"role": "user", "content": says}]} | more)

    return make


@pytest.fixture(scope="session")
def paris(make_task: Callable[..., Task]) -> Task:
    """A question with a value of the ground truth."""
    return make_task("What is the weather in Paris tomorrow?", [{"get_weather": {"city": ["Paris"]}}])


@pytest.fixture
def alter(endpoint: Any) -> Callable[..., tuple[list[Task], AlterationManifest]]:
    """Reword tasks; the given ones must not change, and all must be counted."""

    def apply(
        tasks: list[Task], *, seed: str = "s", context: AlterationContext | None = None, **parameters: Any
    ) -> tuple[list[Task], AlterationManifest]:
        before = encode_tasks(tasks)
        spec = Alteration.model_validate({"rewrite": {"url": endpoint.url, "model": "rewriter", **parameters}})
        altered, (manifest,) = alter_tasks(tasks, [spec], seed=seed, context=context)
        assert encode_tasks(tasks) == before, "the given tasks were modified"
        assert manifest.applied + sum(manifest.skipped.values()) == len(tasks)
        return altered, manifest

    return apply


@pytest.fixture
def spec(endpoint: Any) -> Callable[..., Tasks]:
    """Write the spec of a task set of twelve official cases that are reworded."""

    def write(**parameters: Any) -> Tasks:
        source = {"bfcl": {"categories": ["live_simple", "live_irrelevance"]}}
        alterations = [{"rewrite": {"url": endpoint.url, "model": "rewriter", **parameters}}]
        return Tasks.model_validate({"sources": [source], "count": 12, "seed": "s", "alterations": alterations})

    return write
