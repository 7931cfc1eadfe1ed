"""Conversations are led to their end: turn by turn, all at once, and whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import PromptFormat
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_crds.results import Conversation, Expects, Response, Task
from bitagent_evaluator.engine.interface import Answer, Engine, Prompt
from bitagent_evaluator.engine.plan import EnginePlan, Hardware
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.progress import LogProgress
from bitagent_evaluator.rendering.prompts import LIMITS, PromptWriter
from bitagent_evaluator.runs.asking import Wording, open_wording
from bitagent_evaluator.runs.asking.conversations import LONG_TURN_TOKENS, TURN_TOKENS
from bitagent_evaluator.runs.asking.dialogue import Dialogue, Manner
from bitagent_evaluator.runs.asking.manner import manner_of
from bitagent_evaluator.runs.evaluate import Evaluated, Evaluation, evaluate
from bitagent_evaluator.runs.journal import RESPONSES
from bitagent_evaluator.runs.readable import readable


def function(name: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    described = {"type": "dict", "properties": properties, "required": list(parameters)}
    return {"name": name, "description": "Does it.", "parameters": described}


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def task(name: str = "c", **changes: Any) -> Task:
    content: dict[str, Any] = {
        "turns": [[said("Make a and go there.")], [said("Make b.")]],
        "ground_truth": [["mkdir(dir_name='a')", "cd(folder='a')"], ["mkdir('b')"]],
        "classes": ["GorillaFileSystem", "MathAPI"],
        "initial_state": {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": {}}}}},
    }
    conversation = Conversation.model_validate(content | changes)
    return Task(
        id=name,
        source="test",
        category="multi_turn_base",
        messages=conversation.turns[0],
        functions=[function("mkdir", "dir_name"), function("cd", "folder")],
        expects=Expects.STATE,
        conversation=conversation,
    )


LATE = {"turns": [[said("Look.")], []], "ground_truth": [[], ["ls()"]], "held_back": {"1": [function("ls")]}}
"""A conversation whose one useful function comes late."""
PROMPTING, TOOLS = Manner(functions_as_tools=False, tool_role=True), Manner(functions_as_tools=True, tool_role=True)
NO_ROLE = Manner(functions_as_tools=False, tool_role=False)


# The course of one conversation


def test_a_turn_goes_on_until_an_answer_holds_no_call() -> None:
    dialogue = Dialogue(task(), PROMPTING)
    dialogue.answer("mkdir(dir_name='a')", ["mkdir(dir_name='a')"])
    dialogue.hear(["None"])
    dialogue.answer("Done.", [])
    assert (dialogue.turns, dialogue.finished) == ([["mkdir(dir_name='a')", "Done."], []], False)
    assert dialogue.task.messages == [
        said("Make a and go there."),
        {"role": "assistant", "content": "mkdir(dir_name='a')"},
        {"role": "tool", "name": "mkdir(dir_name='a')", "content": "None"},
        {"role": "assistant", "content": "Done."},
        said("Make b."),
    ]
    dialogue.answer("No.", [])
    assert dialogue.finished and dialogue.executed == [["mkdir(dir_name='a')"]]


def test_without_a_tool_role_the_user_says_what_the_tools_gave_back() -> None:
    dialogue = Dialogue(task(), NO_ROLE)
    dialogue.answer("[f(), g()]", ["f()", "g()"])
    dialogue.hear(["1", "2"])
    heard = [{"role": "tool", "name": "f()", "content": "1"}, {"role": "tool", "name": "g()", "content": "2"}]
    assert dialogue.task.messages[-1] == said(repr(heard))


ANNOUNCED = {
    "in a message": (
        PROMPTING,
        f"{[function('ls')]}\nI have updated some more functions you can choose from. What about now?",
        [],
    ),
    "as a tool": (TOOLS, "I have updated some more functions you can choose from. What about now?", ["ls"]),
}


@pytest.mark.parametrize(("manner", "message", "added"), ANNOUNCED.values(), ids=ANNOUNCED)
def test_functions_that_were_held_back_are_announced(manner: Manner, message: str, added: list[str]) -> None:
    late = task(**LATE)
    dialogue = Dialogue(late, manner)
    assert [f["name"] for f in dialogue.task.functions] == ["mkdir", "cd"]
    dialogue.answer("There is no function.", [])
    assert dialogue.task.messages[-1] == said(message)
    assert [f["name"] for f in dialogue.task.functions] == ["mkdir", "cd", *added]
    assert [f["name"] for f in late.functions] == ["mkdir", "cd"]


def test_a_turn_without_end_ends_the_conversation() -> None:
    dialogue = Dialogue(task(), PROMPTING)
    steps = 0
    while not dialogue.finished:
        dialogue.answer("cd(folder='.')", ["cd(folder='.')"])
        dialogue.hear(["x"])
        steps += 1
    assert (steps, len(dialogue.turns)) == (21, 1)


def test_steps_are_counted_by_turn() -> None:
    dialogue = Dialogue(task(), PROMPTING)
    for _ in range(2):
        for _ in range(20):
            dialogue.answer("f()", ["f()"])
            dialogue.hear(["x"])
        dialogue.answer("Done.", [])
    assert [len(turn) for turn in dialogue.turns] == [21, 21]


# The manner of a model

WITH_TOOL = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"
TEMPLATES = {
    "any role": (WITH_TOOL, "Bfcl", PROMPTING),
    "tools": ("{{ tools | length }}" + WITH_TOOL, "ChatTemplate", TOOLS),
    "raises": (
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('role') }}{% endif %}{{ m.content }}{% endfor %}",
        "Bfcl",
        NO_ROLE,
    ),
    "leaves out": (
        "{% for m in messages %}{% if m.role != 'tool' %}{{ m.role }}{{ m.content }}{% endif %}{% endfor %}",
        "Bfcl",
        NO_ROLE,
    ),
    "no template": ("{{ raise_exception('never read') }}", "Vicuna", NO_ROLE),
}


@pytest.mark.parametrize(("template", "name", "manner"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_says_whether_it_knows_the_tool_role(
    checkpoint: Any, template: str, name: str, manner: Manner
) -> None:
    with _wording(checkpoint, template, name) as wording:
        assert manner_of(task(), wording) == manner


def test_a_template_that_hangs_on_the_tool_role_is_the_models_fault(checkpoint: Any) -> None:
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    template = "{% for m in messages %}{% if m.role == 'tool' %}" + loop + "{% endif %}{{ m.content }}{% endfor %}"
    with _wording(checkpoint, template, "Bfcl") as wording, pytest.raises(ModelFault) as fault:
        manner_of(task(), wording)
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


@contextmanager
def _wording(checkpoint: Any, template: str, name: str) -> Iterator[Wording]:
    for shipped in checkpoint.path.glob("chat_template*"):
        shipped.unlink()
    checkpoint.edit("tokenizer_config.json", lambda content: content | {"chat_template": template})
    with PromptWriter(checkpoint.path, replace(LIMITS, cpu_seconds=1.0, wall_factor=100)) as writer:
        yield open_wording(writer, PromptFormat(name), max_tokens=8, token_limit=2048, vocab_size=640)


# Whole evaluations


class Killed(BaseException):
    """The process ends here."""


@dataclass
class ScriptedEngine:
    """Says what is written down for each conversation, and when that is over `Done.`; may be killed in a wave."""

    tokenizer: Any
    script: Mapping[str, list[str]]
    dies_in_wave: int | None
    device: str = "scripted"
    packages: dict[str, str] = field(default_factory=lambda: {"scripted": "1"})
    waves: list[list[Prompt]] = field(default_factory=list)

    def generate(self, prompts: Sequence[Prompt], stop_ids: Sequence[int]) -> Iterator[list[Answer]]:
        if len(self.waves) == self.dies_in_wave:
            raise Killed
        self.waves.append(list(prompts))
        for prompt in reversed(prompts):
            step = sum(prompt.key == other.key for wave in self.waves for other in wave) - 1
            texts = self.script.get(prompt.key, [])
            text = texts[step] if step < len(texts) else "Done."
            ids = self.tokenizer.encode(text, add_special_tokens=False).ids[: prompt.max_tokens]
            yield [Answer(prompt.key, ids, len(ids) + 1, "stop" if len(ids) < prompt.max_tokens else "length")]

    def texts(self, key: str) -> list[str]:
        """The prompts that a conversation came to."""
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
        model_dir=checkpoint.path,
        repo="acme/tiny",
        commit="a" * 40,
        weights_digest="sha256:" + "1" * 64,
        tasks=[task("right"), task("wrong"), task("silent")],
        task_set_digest="sha256:" + "2" * 64,
        out_dir=tmp_path / "out",
        prompt_format=PromptFormat.BFCL,
        max_tokens=64,
        engine=EngineChoices(),
    )


SCRIPT = {
    "right": ["[mkdir(dir_name='a'), cd(folder='a')]", "Done.", "[mkdir(dir_name='b')]"],
    "wrong": ["[mkdir(dir_name='a')]", "[cd(folder='b')]", "Oh.", "[mkdir(dir_name='b')]"],
}


def led(
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


def test_conversations_are_led_in_waves_and_judged(evaluation: Evaluation) -> None:
    outcome, backend = led(evaluation)
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
    mixed = replace(evaluation, tasks=[task("right"), single])
    led(mixed, {**SCRIPT, "single": ["[mkdir(dir_name='b')]"]})
    assert errors(mixed) == {"right": "", "single": ""}
    assert responses(mixed)["single"].turns == []


def test_a_killed_run_asks_unfinished_conversations_anew(evaluation: Evaluation, tmp_path: Path) -> None:
    whole = replace(evaluation, out_dir=tmp_path / "whole")
    led(whole)
    with pytest.raises(Killed):
        led(evaluation, dies_in_wave=3)
    assert set(responses(evaluation)) == {"silent"}
    outcome, backend = led(evaluation)
    assert outcome.resumed == 1
    assert {prompt.key for prompt in backend.engines[0].waves[0]} == {"right", "wrong"}
    for name in (RESPONSES, "verdicts.jsonl", "manifest.json"):
        assert (evaluation.out_dir / name).read_bytes() == (whole.out_dir / name).read_bytes()


def test_functions_as_tools_are_added_to_the_template(evaluation: Evaluation) -> None:
    late = replace(evaluation, tasks=[task("late", **LATE)], prompt_format=PromptFormat.CHAT_TEMPLATE)
    call = '<tool_call>{"name": "ls", "arguments": {}}</tool_call>'
    _, backend = led(late, {"late": ["Nothing fits.", call]})
    first, second = backend.engines[0].texts("late")[:2]
    assert "ls(" not in first and "ls(" in second
    assert responses(late)["late"].turns == [["Nothing fits."], [call, "Done."]]
    assert errors(late) == {"late": ""}


def test_a_conversation_that_outgrows_the_model_ends_there(evaluation: Evaluation) -> None:
    _, backend = led(evaluation)
    longest = max(len(prompt.token_ids) for wave in backend.engines[0].waves for prompt in wave)
    limits = EngineChoices(max_model_length=longest - 1)
    small = replace(evaluation, engine=limits, tasks=[task("wrong"), task("silent")])
    _, backend = led(small)
    cut = responses(small)["wrong"]
    assert (cut.finish_reason, len(cut.turns)) == ("length", 2)
    assert cut.turns[1][0] == SCRIPT["wrong"][3] and len(cut.turns[1]) == 1
    assert len(responses(small)["silent"].turns) == 2
    assert all(len(p.token_ids) + p.max_tokens <= longest - 1 for wave in backend.engines[0].waves for p in wave)


def test_turns_that_were_not_reached_are_missing(evaluation: Evaluation) -> None:
    _, backend = led(evaluation)
    second_turn = next(p for wave in backend.engines[0].waves[2:] for p in wave if p.key == "right")
    limits = EngineChoices(max_model_length=len(second_turn.token_ids))
    small = replace(evaluation, engine=limits, tasks=[task("right")])
    led(small)
    assert len(responses(small)["right"].turns) == 1
    assert errors(small) == {"right": "multi_turn:force_terminated"}


def test_a_first_prompt_that_does_not_fit_is_not_asked(evaluation: Evaluation) -> None:
    long = task("long", turns=[[said("Make b. " * 30_000)], [said("Make b.")]])
    longer = task("longer", turns=[[said("Make b. " * 8_000)], [said("Make b.")]])
    outcome, backend = led(replace(evaluation, tasks=[long, task("right"), longer]))
    assert outcome.too_long == 2
    assert errors(evaluation) == {"long": "no_response", "right": "", "longer": "no_response"}
    assert {prompt.key for wave in backend.engines[0].waves for prompt in wave} == {"right"}


def test_a_template_that_refuses_to_go_on_ends_that_conversation(evaluation: Evaluation) -> None:
    (evaluation.model_dir / "chat_template.jinja").unlink(missing_ok=True)
    source = (
        "{% for m in messages %}{% if loop.index > 4 and m.role == 'user' %}{{ raise_exception('enough') }}{% endif %}"
        "<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"
    )
    settings = evaluation.model_dir / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": source}))
    outcome, _ = led(evaluation)
    assert outcome.refused == {}
    assert {key: response.finish_reason for key, response in responses(evaluation).items()}[
        "right"
    ] == "template_refused"
    assert errors(evaluation)["right"] == "multi_turn:force_terminated"


def test_calls_without_end_end_the_conversation(evaluation: Evaluation) -> None:
    endless = "power(base=9.0, exponent=logarithm(value=2, base=3, precision=10000000))"
    tasks = replace(evaluation, tasks=[task("right"), task("endless")], max_tokens=128)
    _, backend = led(tasks, {**SCRIPT, "endless": [endless]})
    assert responses(tasks)["endless"].turns == [[endless]]
    assert errors(tasks) == {"right": "", "endless": "multi_turn:force_terminated"}
    assert len(backend.engines[0].texts("endless")) == 1


@pytest.mark.parametrize("long_context", [False, True], ids=["short", "long"])
def test_the_engine_gets_room_for_every_turn(evaluation: Evaluation, long_context: bool) -> None:
    _, backend = led(replace(evaluation, tasks=[task("right", long_context=long_context)]))
    first = backend.engines[0].waves[0][0]
    room = len(first.token_ids) + 2 * ((LONG_TURN_TOKENS if long_context else TURN_TOKENS) + evaluation.max_tokens)
    assert backend.plans[0].arguments["max_model_len"] == min(room, 32768)


def test_all_steps_are_read_in_the_syntaxes_of_the_format() -> None:
    given = Response(
        id="c",
        text="x",
        finish_reason="stop",
        prompt_tokens=0,
        completion_tokens=0,
        turns=[['[{"name": "cd", "arguments": {"folder": "a"}}]', "Done."], ["cd(folder='a')"]],
    )
    (read,) = readable([task()], [given], PromptFormat.HAMMER)
    assert read.turns == [["[cd(folder='a')]", "Done."], ["cd(folder='a')"]]
    assert readable([task()], [given], PromptFormat.BFCL)[0].turns == given.turns
