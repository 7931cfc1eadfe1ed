"""Memories: conversations in which a model writes down what it will need, and questions that it answers from that.

The questions of a scenario with one kind of memory are a group. First the scenario's conversations are held one after
the other, those of all groups at once. Each begins with what the one before has left in the memory; one that outgrows
its room, whose calls run away, or that makes the memory longer than any prompt leaves nothing. Then every question is
asked in a conversation of its own, which begins with the memory as the last conversation left it, and whose changes are
forgotten.

A group's responses are recorded together, so that an interrupted group is held again from the start. What its
conversations took counts for its first question, in whose name they are held.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.results import Response
from bitagent_crds.task_set import Conversation, Memory, Task
from bitagent_evaluator.engines.base import Engine
from bitagent_evaluator.evaluation.strategies.base import (
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    partition_prompts,
)
from bitagent_evaluator.evaluation.strategies.conversations import (
    MAX_CHARACTERS,
    ConversationHolder,
    HeldConversation,
    most_room,
    turn_room,
)
from bitagent_evaluator.evaluation.strategies.dialogue import Dialogue, detect_capabilities
from bitagent_evaluator.prompts.base import with_system_prompt
from bitagent_evaluator.prompts.tokenizer import EncodedPrompt, TemplateError
from bitagent_evaluator.scoring.multi_turn.memory import memory_message, system_name
from bitagent_evaluator.scoring.multi_turn.simulation import Runaway, Simulation
from bitagent_evaluator.tasks.sources.bfcl import memory_conversations

MEMORY_TOKENS = 4_096
"""Room for what a memory shows at the beginning of a conversation, in tokens: the largest has 10,000 characters."""

Turns = Sequence[list[dict[str, Any]]]
"""The user's messages of each turn."""


@dataclass
class _Group:
    """The questions of one scenario with one kind of memory, and what the model has written for them so far."""

    memory: Memory
    questions: list[Task]
    conversations: Sequence[Turns]
    content: dict[str, Any] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def key(self) -> str:
        """Id of the task in whose name the conversations are held."""
        return self.questions[0].id

    def simulated(self, turns: Turns) -> Conversation:
        """Return a conversation that begins with the present memory."""
        name = system_name(self.memory.backend)
        return Conversation(
            turns=list(turns), ground_truth=[[] for _ in turns], classes=[name], initial_state={name: self.content}
        )

    def held_task(self, task: Task, turns: Turns, shown: str) -> Task:
        """Return a conversation in the name of a task; `shown` is what its first message shows of the memory."""
        first = with_system_prompt(turns[0], memory_message(self.memory, shown))
        return task.model_copy(update={"messages": first, "conversation": self.simulated([first, *turns[1:]])})


class MemoryStrategy(GenerationStrategy):
    """Questions about what a model has written into a memory."""

    def __init__(self, tasks: Sequence[Task], encoder: PromptEncoder, options: ScoringOptions) -> None:
        """Encode the first prompts with empty memories. Raises TaskSetError if the package lacks a scenario."""
        self._encoder, self._holder = encoder, ConversationHolder(encoder)
        self._capabilities = detect_capabilities(tasks[0], encoder)
        self._groups = _grouped(tasks)
        with Simulation() as simulation:
            asked = [(group, task, [task.messages]) for group in self._groups for task in group.questions]
            held = [(group, group.questions[0], turns) for group in self._groups for turns in group.conversations]
            shown = {group.key: simulation.remember(group.simulated([[]]), [])[1] for group in self._groups}
        first = [group.held_task(task, turns, shown[group.key]) for group, task, turns in asked]
        self._prompts, self.refused = partition_prompts(first, self._encode(first))
        prepared = [group.held_task(task, turns, shown[group.key]) for group, task, turns in held]
        self._prepared = [_ids(prompt) for prompt in self._encode(prepared)]
        answerable = {task_id for task_id, prompt in self._prompts.items() if encoder.answer_limit(prompt)}
        self.task_ids = [task.id for task in tasks if task.id in answerable]
        self.over_limit = encoder.over_limit(self._prompts)
        self.too_long = [each for each in self._prompts if each not in answerable and each not in self.over_limit]
        lengths = [(task, self._prompts.get(task.id, [])) for task in first if task.id in answerable]
        lengths += zip(prepared, self._prepared, strict=True)
        self.sequence_lengths = [self._room(task, prompt) for task, prompt in lengths]
        self._longest = max(self.sequence_lengths, default=0)

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Yield how results are shown, the run's bound, and all first prompts with empty memories."""
        yield [int(self._capabilities.functions_as_tools), int(self._capabilities.tool_role), most_room(self._encoder)]
        yield from self._prompts.values()
        yield from self._prepared

    def run(self, engine: Engine, answered: frozenset[str], record: Callable[[list[Response]], None]) -> None:
        """Fill the memories of the groups that have a question without a response, and ask all their questions."""
        due = frozenset(self.task_ids) - answered
        answerable = frozenset(self.task_ids)
        groups = _grouped([task for group in self._groups for task in group.questions if task.id in answerable])
        groups = [group for group in groups if any(task.id in due for task in group.questions)]
        with Simulation() as simulation:
            for number in range(max((len(group.conversations) for group in groups), default=0)):
                groups = self._hold_next(groups, number, engine, simulation)
            self._ask(groups, due, engine, simulation, record)

    def _hold_next(self, groups: list[_Group], number: int, engine: Engine, simulation: Simulation) -> list[_Group]:
        """Hold one conversation of each group that has so many; return the groups whose questions can be asked.

        Those are all but the ones whose conversation the engine ended: their questions cannot count any more.
        """
        held = {group.key: group for group in groups if number < len(group.conversations)}
        asked = [(group, group.questions[0], group.conversations[number]) for group in held.values()]
        active = self._begin(asked, simulation)
        ended: list[HeldConversation] = []
        self._holder.hold(active, engine, simulation, ended.extend)
        for conversation in ended:
            group, dialogue = held[conversation.task.id], conversation.dialogue
            group.prompt_tokens += conversation.prompt_tokens
            group.completion_tokens += conversation.completion_tokens
            if not conversation.aborted:
                try:
                    content, _ = simulation.remember(dialogue.conversation, dialogue.executed)
                except Runaway:
                    continue
                if len(json.dumps(content, ensure_ascii=False)) <= MAX_CHARACTERS:
                    group.content = content
        lost = held.keys() - {conversation.task.id for conversation in ended}
        return [group for group in groups if group.key not in lost]

    def _ask(
        self,
        groups: Sequence[_Group],
        due: frozenset[str],
        engine: Engine,
        simulation: Simulation,
        record: Callable[[list[Response]], None],
    ) -> None:
        of = {task.id: group for group in groups for task in group.questions if task.id in due}
        responses: dict[str, list[Response]] = {group.key: [] for group in groups}
        asked = [(group, task, [task.messages]) for group in groups for task in group.questions if task.id in due]

        def keep(ended: list[HeldConversation]) -> None:
            for conversation in ended:
                group = of[conversation.task.id]
                responses[group.key].append(_with_preparation(conversation.response(), group))

        self._holder.hold(self._begin(asked, simulation), engine, simulation, keep)
        for group in groups:
            record(responses[group.key])

    def _begin(self, asked: Sequence[tuple[_Group, Task, Turns]], simulation: Simulation) -> list[HeldConversation]:
        """Return conversations that are to be held, each in the name of a task."""
        groups = {group.key: group for group, _, _ in asked}
        shown = {key: simulation.remember(group.simulated([[]]), [])[1] for key, group in groups.items()}
        tasks = [group.held_task(task, turns, shown[group.key]) for group, task, turns in asked]
        rooms = map(self._room_with_memory, tasks, self._encode(tasks))
        return [
            HeldConversation(task, Dialogue(task, self._capabilities), room)
            for task, room in zip(tasks, rooms, strict=True)
        ]

    def _room(self, task: Task, prompt: EncodedPrompt) -> int:
        wished = len(_ids(prompt)) + MEMORY_TOKENS + turn_room(task, self._encoder.max_tokens)
        return min(most_room(self._encoder), wished)

    def _room_with_memory(self, task: Task, prompt: EncodedPrompt) -> int:
        """Return the room of a conversation whose prompt shows what a model has written, as long as that may be.

        Never more than the engine was planned for: it fails on a longer prompt, which would look like the machine's
        fault.
        """
        return min(self._longest, self._room(task, prompt))

    def _encode(self, tasks: Sequence[Task]) -> list[EncodedPrompt]:
        return self._holder.encode([Dialogue(task, self._capabilities) for task in tasks])


def _ids(prompt: EncodedPrompt) -> list[int]:
    """The token ids of a prompt; none of one that the template raises on."""
    return [] if isinstance(prompt, TemplateError) else list(prompt)


def _grouped(tasks: Sequence[Task]) -> list[_Group]:
    groups: dict[tuple[str, str], _Group] = {}
    for task in tasks:
        if (memory := task.memory) is None:
            raise ValueError(f"task {task.id} has no memory")
        key = (memory.backend, memory.scenario)
        if key in groups:
            groups[key].questions.append(task)
        else:
            groups[key] = _Group(memory, [task], memory_conversations(memory.scenario))
    return list(groups.values())


def _with_preparation(response: Response, group: _Group) -> Response:
    """Return a response; that of the group's first question with the tokens of the conversations before."""
    if response.id != group.key:
        return response
    return response.model_copy(
        update={
            "prompt_tokens": response.prompt_tokens + group.prompt_tokens,
            "completion_tokens": response.completion_tokens + group.completion_tokens,
        }
    )
