"""Memories: what the official systems hold and show, how they are searched, and which answer is right."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.task_forms import Expects, MemoryBackend
from bitagent_crds.task_set import Conversation, Memory, Task
from bitagent_evaluator.parsing import parse_response
from bitagent_evaluator.scoring.multi_turn import simulation as simulation_module
from bitagent_evaluator.scoring.multi_turn.memory import (
    MEMORY_SCENARIOS,
    BM25Plus,
    memory_message,
    system_name,
)
from bitagent_evaluator.scoring.multi_turn.memory_answers import NO_LAST_MESSAGE, NOT_ONE_TURN
from bitagent_evaluator.scoring.multi_turn.simulation import VECTOR_SECONDS, Simulation
from bitagent_evaluator.scoring.scorers import load_scorer

KV, REC_SUM, VECTOR = MemoryBackend

BM25: dict[str, tuple[list[list[str]], list[str], list[float]]] = {
    "names": (
        [["name"], ["favourite", "colour"], ["home", "address", "street"], ["name", "of", "dog"], ["a", "b", "b"]],
        ["name", "of", "the", "dog"],
        [6.171775008369114, 4.68213122712422, 4.68213122712422, 8.890788509932506, 4.68213122712422],
    ),
    "one": ([["x"]], ["x", "y"], [1.3862943611198906]),
    "repeated words": (
        [["b", "b"], ["b"], ["c"]],
        ["b", "b"],
        [3.0925028055751405, 2.9483161764662467, 1.3862943611198906],
    ),
}
"""Scores of rank-bm25 0.2.2."""


@pytest.mark.parametrize(("corpus", "query", "scores"), BM25.values(), ids=BM25)
def test_bm25_scores_are_the_packages(corpus: list[list[str]], query: list[str], scores: list[float]) -> None:
    assert BM25Plus(corpus).get_scores(query) == scores


def conversation(backend: MemoryBackend, content: dict[str, Any] | None = None) -> Conversation:
    name = system_name(backend)
    return Conversation(turns=[[]], ground_truth=[[]], classes=[name], initial_state={name: content or {}})


@pytest.fixture(scope="module")
def simulation() -> Any:
    with Simulation() as simulation:
        yield simulation


STEPS: dict[str, tuple[MemoryBackend, list[list[str]], dict[str, Any], str]] = {
    "nothing": (KV, [], {"core_memory": {}, "archival_memory": {}}, "no content in the core memory"),
    "kv": (
        KV,
        [["core_memory_add(key='name', value='Bo')"], ["archival_memory_add(key='age', value=7)", "nothing()"]],
        {"core_memory": {"name": "Bo"}, "archival_memory": {"age": "7"}},
        '"name": "Bo"',
    ),
    "vectors": (
        VECTOR,
        [
            ["core_memory_add(text='Bo')", "archival_memory_add(text='a')", "archival_memory_add(text='b')"],
            ["archival_memory_remove(vec_id=0)", "core_memory_add(text='Al')"],
        ],
        {
            "core_memory": {"next_id": 2, "store": {"0": "Bo", "1": "Al"}},
            "archival_memory": {"next_id": 2, "store": {"1": "b"}},
        },
        '"1": "Al"',
    ),
    "no text": (REC_SUM, [["memory_clear()"]], {"memory": ""}, "no content in the memory"),
    "text": (REC_SUM, [["memory_append(text='a')"], ["memory_append(text='b')"]], {"memory": "ab"}, "ab"),
}


@pytest.mark.parametrize(("backend", "steps", "content", "shown"), STEPS.values(), ids=STEPS)
def test_a_memory_keeps_what_is_written(
    simulation: Simulation, backend: MemoryBackend, steps: list[list[str]], content: dict[str, Any], shown: str
) -> None:
    found, text = simulation.remember(conversation(backend), steps)
    assert found == content and shown in text
    assert simulation.remember(conversation(backend, found), []) == (found, text)


def test_calls_are_executed_on_what_was_there_before(simulation: Simulation) -> None:
    before = conversation(KV, {"core_memory": {"my_name": "Bo"}, "archival_memory": {}})
    steps = [["core_memory_key_search(query='name')", "archival_memory_key_search(query='name')", "_load_scenario()"]]
    found, empty, private = simulation.execute(before, steps)
    assert found == '{"ranked_results": [[1.3862943611198906, "my_name"]]}'
    assert empty == "Error during execution: division by zero"
    assert "not defined" in private


def test_a_memory_is_searched_by_vectors(simulation: Simulation) -> None:
    """Scores are those of all-MiniLM-L6-v2; the memory before is embedded again."""
    texts = ["My cat is called Tom.", "I live in Oslo.", "My sister is a dentist."]
    steps = [[f"archival_memory_add(text={text!r})" for text in texts]]
    before, _ = simulation.remember(conversation(VECTOR), steps)
    asked = [
        "archival_memory_retrieve(query='Where is my home?', top_k=2)",
        "archival_memory_retrieve(query='x', top_k=0)",
    ]
    found, none = simulation.execute(conversation(VECTOR, before), [asked])
    nearest = json.loads(found)["result"]
    assert len(nearest) == 2
    assert nearest[0]["text"] == "I live in Oslo."
    assert nearest[0]["similarity_score"] > nearest[1]["similarity_score"]
    assert none.startswith("Error during execution")
    (updated,) = simulation.execute(
        conversation(VECTOR, before),
        [["archival_memory_update(vec_id=0, new_text='My home is a boat.')"], [asked[0]]],
    )
    assert json.loads(updated)["result"][0]["id"] == 0


FULL, FEW = 50, 8
"""Texts that a memory of vectors holds at most, and those of which this test embeds a share in a share of the time."""


def test_a_full_memory_of_vectors_is_embedded_within_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation_module, "VECTOR_SECONDS", VECTOR_SECONDS * FEW / FULL)
    texts = [f"{number} " + "many different words of a long entry " * 50 for number in range(FEW)]
    store = {str(number): text for number, text in enumerate(texts)}
    content = {
        "core_memory": {"next_id": 0, "store": {}},
        "archival_memory": {"next_id": FEW, "store": store},
    }
    with Simulation() as simulation:
        (found,) = simulation.execute(conversation(VECTOR, content), [["archival_memory_retrieve(query='words')"]])
    assert len(json.loads(found)["result"]) == 5


@pytest.mark.parametrize("scenario", MEMORY_SCENARIOS)
def test_a_conversation_begins_with_what_the_memory_shows(scenario: str) -> None:
    messages = [memory_message(Memory(backend=of, scenario=scenario, answers=["a"]), "{shown}") for of in MemoryBackend]
    assert all(message.endswith("\n{shown}\n") for message in messages)
    assert ["Archival Memory" in message for message in messages] == [True, False, True]


def test_loading_memories_leaves_no_substitutes_behind() -> None:
    code = """
import sys
from bitagent_evaluator.scoring.multi_turn.systems import Systems
Systems(["MemoryAPI_kv", "MemoryAPI_rec_sum", "MemoryAPI_vector"], {}, long_context=False)
substituted = ("overrides", "rank_bm25", "bfcl_eval.utils", "faiss", "sentence_transformers")
print([name for name in sys.modules if name in substituted])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


TASK = Task(
    id="t",
    source="test",
    category="memory_kv",
    messages=[{"role": "user", "content": "Who?"}],
    functions=[],
    expects=Expects.ANSWER,
    memory=Memory(backend=KV, scenario="student", answers=["May 4, 2020", "Bo's"]),
)
CALL = "[core_memory_retrieve(key='a')]"
ANSWERS: dict[str, tuple[list[list[str]], str]] = {
    "contained": ([[CALL, "{'answer': 'It was may 4 2020.', 'context': ''}"]], ""),
    "another spelling": ([[CALL, 'bo"s'.upper()]], ""),
    "no call at all": ([["May 4, 2020"]], ""),
    "part of a word": ([["May 4, 20201"]], "agentic:answer_not_found"),
    "empty list of calls": ([[CALL, "[]"]], "agentic:answer_not_found"),
    "only calls": ([[CALL] * 21], NO_LAST_MESSAGE),
    "an empty text": ([[CALL, ""]], NO_LAST_MESSAGE),
    "no turn": ([], NOT_ONE_TURN),
    "two turns": ([["May 4, 2020"], ["May 4, 2020"]], NOT_ONE_TURN),
    "refused": ([["[f(a=9**9**9)]", "May 4, 2020"]], "ast_decoder:refused"),
}


@pytest.mark.parametrize("scorer", ["Bfcl", "BfclStrict", "ExactMatch", "BitAgent202411", "BitAgent202504"])
def test_the_last_answer_without_a_call_contains_a_right_one(scorer: str) -> None:
    for name, (turns, error) in ANSWERS.items():
        response = Response(id="t", text="", finish_reason="stop", prompt_tokens=0, completion_tokens=0, turns=turns)
        (verdict,) = load_scorer(scorer).verdicts([(TASK, parse_response(response, ["Python"]))])  # type: ignore[list-item]
        assert (verdict.error, verdict.passed) == (error, not error), name
