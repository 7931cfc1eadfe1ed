"""Whole runs of conversations: turn by turn, all at once, and complete or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.evaluation.strategies.conversation_tasks import LATE, function, said, task

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.results import Response
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects, MemoryBackend
from bitagent_crds.task_set import Memory, Task
from bitagent_evaluator.engines.base import Completion, CompletionRequest, Engine
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.evaluation.journal import RESPONSES
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.evaluation.strategies.conversations import LONG_TURN_TOKENS, TURN_TOKENS
from bitagent_evaluator.parsing import parse_response
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.support.progress import LogProgress


class Killed(BaseException):
    """The process ends here."""


@dataclass
class ScriptedEngine:
    """Answers by a script for each conversation, and then `Done.`; may be killed in a wave."""

    tokenizer: Any
    script: Mapping[str, list[str]]
    dies_in_wave: int | None
    device: str = "scripted"
    packages: dict[str, str] = field(default_factory=lambda: {"scripted": "1"})
    waves: list[list[CompletionRequest]] = field(default_factory=list)

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        if len(self.waves) == self.dies_in_wave:
            raise Killed
        self.waves.append(list(requests))
        for prompt in reversed(requests):
            step = sum(prompt.key == other.key for wave in self.waves for other in wave) - 1
            texts = self.script.get(prompt.key, [])
            text = texts[step] if step < len(texts) else "Done."
            ids = self.tokenizer.encode(text, add_special_tokens=False).ids[: prompt.max_tokens]
            yield [Completion(prompt.key, ids, len(ids) + 1, "stop" if len(ids) < prompt.max_tokens else "length")]

    def texts(self, key: str) -> list[str]:
        """Return the prompts of a conversation."""
        return [self.tokenizer.decode(prompt.token_ids) for wave in self.waves for prompt in wave if prompt.key == key]


@dataclass
class ScriptedBackend:
    """Starts scripted engines."""

    script: Mapping[str, list[str]]
    dies_in_wave: int | None = None
    identity: str = "scripted 1"
    engines: list[ScriptedEngine] = field(default_factory=list)
    plans: list[EnginePlan] = field(default_factory=list)

    def prepare(self, model_dir: Path) -> None:
        del model_dir

    def hardware(self) -> Hardware:
        return Hardware(0, "scripted")

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
        tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        engine = ScriptedEngine(tokenizer, self.script, self.dies_in_wave)
        self.engines.append(engine)
        self.plans.append(plan)
        yield engine


@pytest.fixture
def evaluation(checkpoint: Any, tmp_path: Path) -> Evaluation:
    checkpoint.config(max_position_embeddings=32768)
    return Evaluation(
        run=RunSpec(
            repo="acme/tiny",
            commit="a" * 40,
            weights_digest="sha256:" + "1" * 64,
            task_set_digest="sha256:" + "2" * 64,
            prompt_format=BuiltinPromptFormat.BFCL,
            max_tokens=64,
            engine=EngineChoices(),
        ),
        model_dir=checkpoint.path,
        tasks=[task("right"), task("wrong"), task("silent")],
        out_dir=tmp_path / "out",
    )


def changed(evaluation: Evaluation, **changes: Any) -> Evaluation:
    """The evaluation with other fields, or with other fields of its run."""
    of_run = {name: value for name, value in changes.items() if name in RunSpec.model_fields}
    own = {name: value for name, value in changes.items() if name not in of_run}
    return replace(evaluation, run=evaluation.run.model_copy(update=of_run), **own)


SCRIPT = {
    "right": ["[mkdir(dir_name='a'), cd(folder='a')]", "Done.", "[mkdir(dir_name='b')]"],
    "wrong": ["[mkdir(dir_name='a')]", "[cd(folder='b')]", "Oh.", "[mkdir(dir_name='b')]"],
}


def hold(
    evaluation: Evaluation, script: Mapping[str, list[str]] = SCRIPT, **backend: Any
) -> tuple[Evaluated, ScriptedBackend]:
    scripted = ScriptedBackend(script, **backend)
    return evaluate(evaluation, scripted, LogProgress()), scripted


def responses(evaluation: Evaluation) -> dict[str, Response]:
    lines = (evaluation.out_dir / RESPONSES).read_text().splitlines()
    return {response.id: response for response in map(Response.model_validate_json, lines)}


def errors(evaluation: Evaluation) -> dict[str, str]:
    lines = (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()
    return {verdict["id"]: verdict["error"] for verdict in map(json.loads, lines)}


def test_conversations_advance_in_waves_and_are_scored(evaluation: Evaluation) -> None:
    outcome, backend = hold(evaluation)
    (engine,) = backend.engines
    assert [len(wave) for wave in engine.waves] == [3, 3, 2, 2, 1]
    assert errors(evaluation) == {
        "right": "",
        "wrong": "multi_turn:execution_response_mismatch",
        "silent": "multi_turn:empty_turn_model_response",
    }
    assert (outcome.aggregate.passed, outcome.aggregate.total) == (1, 3)
    right = responses(evaluation)["right"]
    assert right.turns == [[*SCRIPT["right"][:2]], [SCRIPT["right"][2], "Done."]]
    assert (right.text, right.finish_reason) == ("Done.", "stop")
    asked = [prompt for wave in engine.waves for prompt in wave if prompt.key == "right"]
    assert right.prompt_tokens == sum(len(prompt.token_ids) for prompt in asked)
    assert right.completion_tokens == sum(
        len(engine.tokenizer.encode(text).ids) + 1 for turn in right.turns for text in turn
    )
    last = engine.texts("right")[-1]
    assert "Make b." in last and '{"current_working_directory": "a"}' in last
    manifest = json.loads((evaluation.out_dir / "manifest.json").read_bytes())
    assert manifest["leaderboard"] == {"Multi Turn Base": "0.333333"}


def test_single_questions_and_conversations_share_a_run(evaluation: Evaluation) -> None:
    single = Task(
        id="single",
        source="test",
        category="simple",
        messages=[said("Make b.")],
        functions=[function("mkdir", "dir_name")],
        ground_truth=[{"mkdir": {"dir_name": ["b"]}}],
    )
    mixed = changed(evaluation, tasks=[task("right"), single])
    hold(mixed, {**SCRIPT, "single": ["[mkdir(dir_name='b')]"]})
    assert errors(mixed) == {"right": "", "single": ""}
    assert responses(mixed)["single"].turns == []


def test_a_killed_run_starts_unfinished_conversations_again(evaluation: Evaluation, tmp_path: Path) -> None:
    whole = changed(evaluation, out_dir=tmp_path / "whole")
    hold(whole)
    with pytest.raises(Killed):
        hold(evaluation, dies_in_wave=3)
    assert set(responses(evaluation)) == {"silent"}
    outcome, backend = hold(evaluation)
    assert outcome.resumed == 1
    assert {prompt.key for prompt in backend.engines[0].waves[0]} == {"right", "wrong"}
    for name in (RESPONSES, "verdicts.jsonl", "manifest.json"):
        assert (evaluation.out_dir / name).read_bytes() == (whole.out_dir / name).read_bytes()


def test_functions_as_tools_are_added_to_the_template(evaluation: Evaluation) -> None:
    late = changed(evaluation, tasks=[task("late", **LATE)], prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE)
    call = '<tool_call>{"name": "ls", "arguments": {}}</tool_call>'
    _, backend = hold(late, {"late": ["Nothing fits.", call]})
    first, second = backend.engines[0].texts("late")[:2]
    assert "ls(" not in first and "ls(" in second
    assert responses(late)["late"].turns == [["Nothing fits."], [call, "Done."]]
    assert errors(late) == {"late": ""}


def test_a_conversation_that_outgrows_the_model_ends_there(evaluation: Evaluation) -> None:
    _, backend = hold(evaluation)
    longest = max(len(prompt.token_ids) for wave in backend.engines[0].waves for prompt in wave)
    limits = EngineChoices(max_model_length=longest - 1)
    small = changed(evaluation, engine=limits, tasks=[task("wrong"), task("silent")])
    _, backend = hold(small)
    cut = responses(small)["wrong"]
    assert (cut.finish_reason, len(cut.turns)) == ("length", 2)
    assert cut.turns[1][0] == SCRIPT["wrong"][3] and len(cut.turns[1]) == 1
    assert len(responses(small)["silent"].turns) == 2
    assert all(len(p.token_ids) + p.max_tokens <= longest - 1 for wave in backend.engines[0].waves for p in wave)


def test_turns_that_were_not_reached_are_missing(evaluation: Evaluation) -> None:
    _, backend = hold(evaluation)
    second_turn = next(p for wave in backend.engines[0].waves[2:] for p in wave if p.key == "right")
    limits = EngineChoices(max_model_length=len(second_turn.token_ids))
    small = changed(evaluation, engine=limits, tasks=[task("right")])
    hold(small)
    assert len(responses(small)["right"].turns) == 1
    assert errors(small) == {"right": "multi_turn:force_terminated"}


def test_a_first_prompt_that_does_not_fit_is_not_asked(evaluation: Evaluation) -> None:
    long = task("long", turns=[[said("Make b. " * 30_000)], [said("Make b.")]])
    longer = task("longer", turns=[[said("Make b. " * 8_000)], [said("Make b.")]])
    outcome, backend = hold(changed(evaluation, tasks=[long, task("right"), longer]))
    assert outcome.too_long == 2
    assert errors(evaluation) == {"long": "no_response", "right": "", "longer": "no_response"}
    assert {prompt.key for wave in backend.engines[0].waves for prompt in wave} == {"right"}


def test_a_template_that_raises_at_a_later_turn_ends_that_conversation(evaluation: Evaluation) -> None:
    (evaluation.model_dir / "chat_template.jinja").unlink(missing_ok=True)
    source = (
        "{% for m in messages %}{% if loop.index > 4 and m.role == 'user' %}{{ raise_exception('enough') }}{% endif %}"
        "<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"
    )
    settings = evaluation.model_dir / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": source}))
    outcome, _ = hold(evaluation)
    assert outcome.refused == {}
    assert {key: response.finish_reason for key, response in responses(evaluation).items()}[
        "right"
    ] == "template_refused"
    assert errors(evaluation)["right"] == "multi_turn:force_terminated"


def test_calls_without_end_end_the_conversation(evaluation: Evaluation) -> None:
    endless = "power(base=9.0, exponent=logarithm(value=2, base=3, precision=10000000))"
    tasks = changed(evaluation, tasks=[task("right"), task("endless")], max_tokens=128)
    _, backend = hold(tasks, {**SCRIPT, "endless": [endless]})
    assert responses(tasks)["endless"].turns == [[endless]]
    assert errors(tasks) == {"right": "", "endless": "multi_turn:force_terminated"}
    assert len(backend.engines[0].texts("endless")) == 1


@pytest.mark.parametrize("long_context", [False, True], ids=["short", "long"])
def test_the_engine_gets_room_for_every_turn(evaluation: Evaluation, long_context: bool) -> None:
    _, backend = hold(changed(evaluation, tasks=[task("right", long_context=long_context)]))
    first = backend.engines[0].waves[0][0]
    room = len(first.token_ids) + 2 * ((LONG_TURN_TOKENS if long_context else TURN_TOKENS) + evaluation.run.max_tokens)
    assert backend.plans[0].arguments["max_model_len"] == min(room, 32768)


def test_all_steps_are_parsed_in_the_syntaxes_of_the_format() -> None:
    given = Response(
        id="c",
        text="x",
        finish_reason="stop",
        prompt_tokens=0,
        completion_tokens=0,
        turns=[['[{"name": "cd", "arguments": {"folder": "a"}}]', "Done."], ["cd(folder='a')"]],
    )
    hammer, bfcl = (
        parse_response(given, prompt_format(name).syntaxes)
        for name in (BuiltinPromptFormat.HAMMER, BuiltinPromptFormat.BFCL)
    )
    called = [{"cd": {"folder": "a"}}]
    assert [[step.calls for step in turn] for turn in hammer.turns] == [[called, None], [called]]
    assert [[step.calls for step in turn] for turn in bfcl.turns] == [[None, None], [called]]


def test_conversations_after_the_budget_end(evaluation: Evaluation) -> None:
    asked = changed(evaluation, mean_answer_tokens=1)
    outcome, backend = hold(asked)
    assert errors(asked) == {"right": "", "wrong": "budget_exceeded", "silent": "budget_exceeded"}
    assert list(responses(asked)) == ["right"], "three tokens are spent by the first"
    assert {prompt.key for prompt in backend.engines[0].waves[1]} == {"right"}
    assert hold(asked)[0].result_digest == outcome.result_digest


def test_a_conversation_ends_at_the_longest_prompt_of_the_run(evaluation: Evaluation) -> None:
    _, backend = hold(evaluation)
    lengths = [len(prompt.token_ids) for wave in backend.engines[0].waves for prompt in wave if prompt.key == "wrong"]
    bounded = changed(evaluation, max_prompt_tokens=lengths[-1] - 1, tasks=[task("wrong")])
    _, backend = hold(bounded)
    asked = [len(prompt.token_ids) for wave in backend.engines[0].waves for prompt in wave]
    assert asked == lengths[:-1]
    assert responses(bounded)["wrong"].finish_reason == "length"
    assert backend.plans[0].arguments["max_model_len"] == lengths[-1] - 1 + 64


def test_a_first_prompt_longer_than_the_run_allows_is_not_asked(evaluation: Evaluation) -> None:
    long = task("long", turns=[[said("Make b. " * 100)], [said("Make b.")]])
    both = changed(evaluation, tasks=[long, task("right")])
    _, free = hold(both)
    lengths = {prompt.key: len(prompt.token_ids) for prompt in free.engines[0].waves[0]}
    outcome, _ = hold(changed(both, max_prompt_tokens=lengths["long"] - 1))
    assert errors(evaluation)["long"] == "prompt_too_long"
    assert outcome.too_long == 0


def test_a_memory_is_filled_and_asked_in_a_whole_run(evaluation: Evaluation) -> None:
    asked = Task(
        id="q",
        source="bfcl",
        category="memory_rec_sum",
        messages=[said("Who?")],
        functions=[function("memory_append", "text")],
        expects=Expects.ANSWER,
        memory=Memory(backend=MemoryBackend.REC_SUM, scenario="notetaker", answers=["Bo"]),
    )
    script = {"q": ["[memory_append(text='It is Bo.')]"]}
    outcome, backend = hold(changed(evaluation, tasks=[asked, asked.model_copy(update={"id": "r"})]), script)
    (engine,) = backend.engines
    assert len(engine.texts("q")) == 5 + 4 + 5 + 5 + 5 + 1 + 1  # turns before, the call in the first, the question
    assert "It is Bo." in engine.texts("r")[0]
    assert errors(evaluation) == {"q": "agentic:answer_not_found", "r": "agentic:answer_not_found"}
    assert outcome.aggregate.total == 2 and responses(evaluation)["r"].turns == [["Done."]]
