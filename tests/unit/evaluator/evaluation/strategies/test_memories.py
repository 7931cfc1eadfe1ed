"""Memories: what is held before the questions, in whose name, and what becomes of what breaks off.

Messages are those of the official handler: tests/golden/test_bfcl_memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.task_forms import Expects, MemoryBackend
from bitagent_crds.task_set import Conversation, Memory, Task
from bitagent_evaluator.engines.base import Completion, CompletionRequest
from bitagent_evaluator.evaluation.strategies import PromptEncoder, ScoringOptions, memories
from bitagent_evaluator.evaluation.strategies.dialogue import Dialogue
from bitagent_evaluator.evaluation.strategies.memories import MemoryStrategy
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.prompts.tokenizer import TemplateError
from bitagent_evaluator.scoring.multi_turn.simulation import SETTING, Simulation
from bitagent_evaluator.scoring.multi_turn.worker import SimulationWorker

TALKS = {"student": ["I am Bo.", "I am seven."], "customer": ["I like tea."]}


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


class InProcess(Simulation):
    """The simulation without its sandbox, which takes seconds to start."""

    def _call(self, request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
        return WORKER.handle({**request, "setting": conversation.model_dump(include=SETTING)}, {})


WORKER = SimulationWorker()


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "Simulation", InProcess)


@pytest.fixture(autouse=True)
def conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations of one turn each."""
    monkeypatch.setattr(memories, "memory_conversations", lambda name: [[[said(text)]] for text in TALKS[name]])


def question(name: str, scenario: str = "student", text: str = "Who am I?") -> Task:
    return Task(
        id=name,
        source="bfcl",
        category="memory_rec_sum",
        messages=[{"role": "system", "content": "Answer."}, said(text)],
        functions=[],
        expects=Expects.ANSWER,
        memory=Memory(backend=MemoryBackend.REC_SUM, scenario=scenario, answers=["Bo"]),
    )


TASKS = [question("a"), question("b", "customer"), question("c")]


@dataclass
class Model:
    """Tokenizer and engine in one: a token for each prompt and each answer; writes down what it hears."""

    refuses: str = ""
    """Text of prompts that the template raises on."""
    ends: str = ""
    """Text of prompts whose request the engine ends."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Key, system message and question of each first step."""
    known: list[Any] = field(default_factory=list)
    device: str = "none"
    packages: dict[str, str] = field(default_factory=dict)

    def encode_prompts(self, prompts: Sequence[Any]) -> list[Any]:
        self.known += prompts
        first = len(self.known) - len(prompts)
        return [
            TemplateError("no") if self.refuses and self.refuses in str(prompt.messages) else [first + number]
            for number, prompt in enumerate(prompts)
        ]

    def decode(self, answers: Sequence[Sequence[int]]) -> list[str]:
        return [self.known[number] for (number,) in answers]

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        for request in requests:
            system, *rest = self.known[request.token_ids[0]].messages
            heard = rest[0]["content"]
            if self.ends and self.ends in heard:
                continue
            if len(rest) == 1:
                self.asked.append((request.key, system["content"], heard))
            self.known.append(f"[memory_append(text={heard + '|'!r})]" if len(rest) == 1 else "Bo, I think.")
            yield [Completion(request.key, [len(self.known) - 1], 5, "stop")]


def prepared(model: Model, tasks: Sequence[Task] = TASKS, **bounds: int) -> MemoryStrategy:
    encoder = PromptEncoder(
        tokenizer=model,  # type: ignore[arg-type]
        format_name="Bfcl",
        format=prompt_format("Bfcl"),
        stop_ids=(),
        max_tokens=bounds.get("max_tokens", 50),
        token_limit=bounds.get("token_limit", 10_000),
        vocab_size=1 << 20,
    )
    return MemoryStrategy(tasks, encoder, ScoringOptions())


def run(model: Model, strategy: MemoryStrategy, answered: Sequence[str] = ()) -> list[list[Response]]:
    recorded: list[list[Response]] = []
    strategy.run(model, frozenset(answered), recorded.append)
    return recorded


def begins_with(model: Model) -> dict[str, str]:
    """The memory at the beginning of each conversation, by question."""
    return {heard: system.rsplit("interactions:\n", 1)[1].strip() for _, system, heard in model.asked}


def test_conversations_of_all_scenarios_come_first_and_questions_begin_with_what_they_left() -> None:
    model = Model()
    recorded = run(model, prepared(model))
    assert [(key, heard) for key, _, heard in model.asked] == [
        ("a", "I am Bo."),
        ("b", "I like tea."),
        ("a", "I am seven."),
        ("a", "Who am I?"),
        ("c", "Who am I?"),
        ("b", "Who am I?"),
    ]
    before = begins_with(model)
    assert before["I am seven."].startswith("I am Bo.|") and "no content" in before["I am Bo."]
    of_question = {key: system for key, system, heard in model.asked if heard == "Who am I?"}
    assert "I am Bo.|I am seven.|\n\n\nAnswer." in of_question["a"] == of_question["c"]
    assert "I like tea.|" in of_question["b"] and "I am Bo" not in of_question["b"]
    assert [[each.id for each in group] for group in recorded] == [["a", "c"], ["b"]]
    assert {each.id: each.turns for group in recorded for each in group}["c"] == [
        ["[memory_append(text='Who am I?|')]", "Bo, I think."]
    ]


def test_what_was_held_before_counts_for_the_first_question() -> None:
    model = Model()
    tokens = {each.id: each.completion_tokens for group in run(model, prepared(model)) for each in group}
    assert tokens == {"a": 2 * 10 + 10, "b": 10 + 10, "c": 10}


def test_only_scenarios_with_a_question_left_are_held_again() -> None:
    model = Model()
    recorded = run(model, prepared(model), answered=["a", "c"])
    assert [[each.id for each in group] for group in recorded] == [["b"]]
    assert {heard for _, _, heard in model.asked} == {"I like tea.", "Who am I?"}
    assert run(model, prepared(model), answered=["a", "b", "c"]) == []


def test_a_scenario_whose_conversation_the_engine_ended_has_no_answers() -> None:
    model = Model(ends="I am seven.")
    assert [[each.id for each in group] for group in run(model, prepared(model))] == [["b"]]


def test_a_conversation_that_breaks_off_leaves_nothing() -> None:
    model = Model(refuses="I am Bo.|")
    recorded = run(model, prepared(model))
    assert sorted(each.id for group in recorded for each in group) == ["a", "b", "c"]
    assert "no content" in begins_with(model)["I am seven."]


def test_questions_that_cannot_be_asked_have_no_conversations_in_their_name() -> None:
    model = Model(refuses="Whose?")
    tasks = [question("first", text="Whose?"), question("second")]
    strategy = prepared(model, tasks)
    assert list(strategy.refused) == ["first"] and strategy.task_ids == ["second"]
    assert {key for key, _, _ in [*model.asked, *(model.asked if run(model, strategy) else [])]} == {"second"}


def test_a_model_without_room_is_asked_nothing() -> None:
    model = Model()
    strategy = prepared(model, token_limit=1)
    assert (strategy.task_ids, sorted(strategy.too_long), strategy.over_limit) == ([], ["a", "b", "c"], {})
    assert run(model, strategy) == [] and model.asked == []


def test_room_is_for_what_the_memory_shows_and_for_every_turn() -> None:
    assert set(prepared(Model(), token_limit=1 << 20).sequence_lengths) == {1 + 4_096 + 4_096 + 50}
    assert set(prepared(Model()).sequence_lengths) == {1 + 4_096 + 4_096 + 50}
    assert set(prepared(Model(), token_limit=500).sequence_lengths) == {500}


def test_the_fingerprint_depends_on_the_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [list(ids) for ids in prepared(Model()).fingerprint()]
    monkeypatch.setattr(memories, "memory_conversations", lambda name: [[[said("Else.")]]])
    assert [list(ids) for ids in prepared(Model()).fingerprint()] != before


@pytest.mark.parametrize("long", ["memory", "result"])
def test_a_memory_that_multiplies_itself_leaves_nothing(monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    """`memory_replace` has no limit of its own: megabytes for each question would fill the machine's memory."""
    bloat = f"memory_replace(old_text='|', new_text={'|' * 500!r})"

    class Bloats(Model):
        def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Any:
            for (completion,) in super().generate(requests, stop_ids):
                at = completion.token_ids[0]
                if "I am seven." in self.known[at]:
                    calls = [self.known[at][1:-1], bloat, bloat, *(["memory_retrieve()"] if long == "result" else [])]
                    self.known[at] = f"[{', '.join(calls)}]"
                yield [completion]

    shown: list[int] = []

    def message(_: Memory, text: str) -> str:
        shown.append(len(text))
        return f"interactions:\n{text}"

    monkeypatch.setattr(memories, "memory_message", message)
    kept: list[int] = []
    add = Dialogue.add_tool_results

    def add_and_measure(self: Dialogue, results: Sequence[str]) -> None:
        kept.append(sum(map(len, results)))
        add(self, results)

    monkeypatch.setattr(Dialogue, "add_tool_results", add_and_measure)
    model = Bloats()
    run(model, prepared(model, token_limit=1 << 20))
    (system,) = [system for key, system, heard in model.asked if key == "c" and heard == "Who am I?"]
    assert "I am Bo.|" in system and "seven" not in system, "what the first conversation left"
    assert max(shown) < 100 and max(kept) < 1_000


def test_no_prompt_is_longer_than_what_the_engine_was_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory may be shown in more tokens than a conversation has room for, such as after `memory_replace`."""

    @dataclass
    class Padded(Model):
        """Its prompts have a token more for each | that the memory shows."""

        longest: int = 0

        def encode_prompts(self, prompts: Sequence[Any]) -> list[Any]:
            shown = [str(prompt.messages[0]["content"]).count("|") for prompt in prompts]
            return [ids + [0] * more for ids, more in zip(super().encode_prompts(prompts), shown, strict=True)]

        def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Any:
            needs = (len(request.token_ids) + request.max_tokens for request in requests)
            self.longest = max(self.longest, *needs, 0)
            return super().generate(requests, stop_ids)

    monkeypatch.setitem(TALKS, "student", ["|" * 9_000, "More."])
    model = Padded()
    strategy = prepared(model, token_limit=1 << 20)
    recorded = run(model, strategy)
    assert 0 < model.longest <= max(strategy.sequence_lengths)
    lengths = {response.id: response.finish_reason for responses in recorded for response in responses}
    assert lengths == {"a": "length", "b": "stop", "c": "length"}
