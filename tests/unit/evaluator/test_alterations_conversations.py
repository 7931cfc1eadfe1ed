"""Conversations stay as they are: no alteration could follow their systems, reference calls and later turns."""

from __future__ import annotations

from collections import Counter
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.results import Expects, Task
from bitagent_crds.sources import BfclSource
from bitagent_evaluator.alterations import alter_tasks
from bitagent_evaluator.tasks.bfcl import BfclTasks
from bitagent_evaluator.tasks.files import encode_tasks

NAMES = [name for name in Spec.model_fields if name != "rewrite"]
REWRITE = {"url": "http://127.0.0.1:1/v1", "model": "never-asked"}


@cache
def official() -> list[Task]:
    """Conversations of two categories, and questions that alterations may change beside them."""
    names = ["multi_turn_base", "multi_turn_miss_func", "multiple"]
    tasks = BfclTasks(BfclSource.model_validate({"categories": names})).tasks()
    return tasks[:10] + tasks[200:210] + tasks[400:410]


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), st.text(min_size=1, max_size=5), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_no_alteration_touches_a_conversation(names: list[str], seed: str, others: int) -> None:
    tasks = official()[: 20 + others % 10]
    altered, manifests = alter_tasks(
        tasks, [Spec.model_validate({name: {}}) for name in names], seed=seed, available=official()
    )
    kept = [task for task in tasks if task.expects is Expects.STATE]
    assert encode_tasks([task for task in altered if task.expects is Expects.STATE]) == encode_tasks(kept)
    assert [Counter(manifest.skipped)["conversation"] >= len(kept) for manifest in manifests] == [True] * len(names)


def test_nor_is_the_rewriter_asked_about_one() -> None:
    conversations = [task for task in official() if task.expects is Expects.STATE]
    altered, (manifest,) = alter_tasks(conversations, [Spec.model_validate({"rewrite": REWRITE})], seed="1")
    assert altered == conversations
    assert manifest.skipped == {"conversation": len(conversations)}
