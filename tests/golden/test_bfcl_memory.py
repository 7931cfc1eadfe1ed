"""Memories are filled and questions asked as by the leaderboard's own prompting handler: same messages in each step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.tasks import MEMORY, BfclCategory, BfclSource
from bitagent_evaluator.engines.base import Completion, CompletionRequest
from bitagent_evaluator.evaluation.strategies import PromptEncoder, ScoringOptions
from bitagent_evaluator.evaluation.strategies.memories import MemoryStrategy
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

SCENARIOS, QUESTIONS = ("notetaker", "healthcare"), 6
ANSWER = """
def answer(messages):
    asked = max(i for i, message in enumerate(messages) if message["role"] == "user")
    text, step = messages[asked]["content"], sum(message["role"] == "assistant" for message in messages[asked:])
    vector = "core_memory_retrieve_all" in messages[0]["content"] and "key_search" not in messages[0]["content"]
    kv = "core_memory_add" in messages[0]["content"] and not vector
    turn = sum(message["role"] == "user" for message in messages)
    if "'answer': A short" in messages[0]["content"]:
        if vector and step == 0:
            return f"[core_memory_retrieve_all(), archival_memory_retrieve(query={text!r}, top_k=3)]"
        look = "[core_memory_retrieve_all(), archival_memory_key_search(query='t_1 x')]" if kv else "memory_retrieve()"
        return look if step == 0 else str(messages[-1]["content"])
    if len(text) % 11 == 3 or step == 0:
        said = text[:40 + 5 * step]
        if vector:
            return f"[core_memory_add(text={said!r}), archival_memory_add(text={text!r}), core_memory_remove(vec_id=1)]"
        if kv:
            key = f"t_{turn}_{len(text)}_{step}"
            return f"[core_memory_add(key={key!r}, value={said!r}), archival_memory_add(key={key!r}, value={text!r})]"
        return f"[memory_append(text={said + chr(10)!r}), memory_replace(old_text='{turn}', new_text='{{}}')]"
    if step == 1 and len(text) % 2:
        return "[core_memory_clear(), archival_memory_list_keys()]" if kv else "[memory_update(text={'a': 1})]"
    return "Noted."
"""
"""Source of what the model says, a function of the messages: it continues to call after some questions."""
OFFICIAL = f"""
import contextlib, copy, io, json, sys, types
from pathlib import Path
{ANSWER}
def stand_in(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)

same = lambda function: function
stand_in("overrides", final=same, override=same, EnforceOverrides=object)
stand_in("openai", OpenAI=object)
from bitagent_evaluator.scoring.multi_turn.memory import BM25Plus
stand_in("rank_bm25", BM25Plus=BM25Plus)
from bitagent_evaluator.scoring.multi_turn.vectors import substitutes
for name, members in substitutes().items():
    stand_in(name, **members)
from bfcl_eval.model_handler.local_inference.base_oss_handler import OSSHandler
from bfcl_eval.eval_checker.agentic_eval.agentic_checker import agentic_checker
from bfcl_eval.utils import load_dataset_entry, populate_initial_settings_for_memory_test_cases

class Scripted(OSSHandler):
    def __init__(self):
        self.prompts, self.model_name_underline_replaced = [], "scripted"
    def _query_prompting(self, inference_data):
        self.prompts.append(copy.deepcopy(inference_data["message"]))
        return answer(inference_data["message"]), 0.0
    def _parse_query_response_prompting(self, api_response):
        return {{"model_responses": api_response, "input_token": 1, "output_token": 1}}

category, expected = sys.argv[1], json.load(sys.stdin)
prompts, turns = [], {{}}
with contextlib.redirect_stdout(io.StringIO()):
    cases = populate_initial_settings_for_memory_test_cases(load_dataset_entry(category), Path(sys.argv[2]))
    for case in cases:
        if case["id"] in expected["questions"] or "prereq" in case["id"] and case["scenario"] in expected["scenarios"]:
            handler = Scripted()
            turns[case["id"]], _ = handler.inference_multi_turn_prompting(case, False, True)
            prompts += handler.prompts
json.dump({{"prompts": prompts, "turns": turns}}, sys.stdout)
"""
"""Program of a separate process: importing these modules creates folders in BFCL_PROJECT_ROOT."""


class Tokenizer:
    """A token for each prompt and for each answer."""

    def __init__(self) -> None:
        self.prompts: list[Any] = []
        self.texts: list[str] = []

    def encode_prompts(self, prompts: Sequence[Any]) -> list[list[int]]:
        self.prompts += prompts
        return [[number] for number in range(len(self.prompts) - len(prompts), len(self.prompts))]

    def decode(self, answers: Sequence[Sequence[int]]) -> list[str]:
        return [self.texts[number] for (number,) in answers]


class Engine:
    """Answers by ANSWER."""

    device, packages = "scripted", {"scripted": "1"}

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.prompts: list[Any] = []
        self.names: dict[str, Any] = {}
        exec(ANSWER, self.names)

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        for request in requests:
            (number,) = request.token_ids
            messages = self.tokenizer.prompts[number].messages
            self.prompts.append(messages)
            self.tokenizer.texts.append(self.names["answer"](messages))
            yield [Completion(request.key, [len(self.tokenizer.texts) - 1], 1, "stop")]


@pytest.mark.parametrize("category", sorted(MEMORY))
def test_memories_are_filled_and_asked_as_by_the_official_handler(category: BfclCategory, tmp_path: Path) -> None:
    every = BfclTasks(BfclSource(categories=[category])).tasks()
    of = {name: [task for task in every if task.memory and task.memory.scenario == name] for name in SCENARIOS}
    tasks = [task for questions in of.values() for task in questions[:QUESTIONS]]
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL, category, str(tmp_path / "results")],
        input=json.dumps({"scenarios": SCENARIOS, "questions": [task.id for task in tasks]}).encode(),
        env={**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    official = json.loads(done.stdout)
    tokenizer = Tokenizer()
    encoder = PromptEncoder(
        tokenizer=tokenizer,  # type: ignore[arg-type]
        format_name="Bfcl",
        format=prompt_format("Bfcl"),
        stop_ids=(),
        max_tokens=100,
        token_limit=1 << 20,
        vocab_size=1 << 20,
    )
    engine, responses = Engine(tokenizer), list[Response]()
    strategy = MemoryStrategy(tasks, encoder, ScoringOptions())
    strategy.run(engine, frozenset(), responses.extend)  # type: ignore[arg-type]
    as_text = [json.dumps(messages) for messages in engine.prompts]
    assert sorted(as_text) == sorted(json.dumps(messages) for messages in official["prompts"])
    assert {r.id: r.turns for r in responses} == {task.id: official["turns"][task.id] for task in tasks}
    assert len(official["prompts"]) > len(tasks) * 10
