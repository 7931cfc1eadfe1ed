"""One conversation by the rules of the leaderboard, and what a template supports of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.evaluator.evaluation.strategies.conversation_tasks import LATE, function, said, task

from bitagent_crds.conditions import Reason
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_evaluator.evaluation.strategies import PromptEncoder, open_encoder
from bitagent_evaluator.evaluation.strategies.dialogue import ChatCapabilities, Dialogue, detect_capabilities
from bitagent_evaluator.prompts.tokenizer import LIMITS, SandboxedTokenizer
from bitagent_evaluator.support.faults import ModelFault

PROMPTING, TOOLS = (
    ChatCapabilities(functions_as_tools=False, tool_role=True),
    ChatCapabilities(functions_as_tools=True, tool_role=True),
)

NO_ROLE = ChatCapabilities(functions_as_tools=False, tool_role=False)


def test_a_turn_goes_on_until_an_answer_holds_no_call() -> None:
    dialogue = Dialogue(task(), PROMPTING)
    dialogue.add_answer("mkdir(dir_name='a')", ["mkdir(dir_name='a')"])
    dialogue.add_tool_results(["None"])
    dialogue.add_answer("Done.", [])
    assert (dialogue.turns, dialogue.finished) == ([["mkdir(dir_name='a')", "Done."], []], False)
    assert dialogue.task.messages == [
        said("Make a and go there."),
        {"role": "assistant", "content": "mkdir(dir_name='a')"},
        {"role": "tool", "name": "mkdir(dir_name='a')", "content": "None"},
        {"role": "assistant", "content": "Done."},
        said("Make b."),
    ]
    dialogue.add_answer("No.", [])
    assert dialogue.finished and dialogue.executed == [["mkdir(dir_name='a')"]]


def test_without_a_tool_role_the_user_says_what_the_tools_gave_back() -> None:
    dialogue = Dialogue(task(), NO_ROLE)
    dialogue.add_answer("[f(), g()]", ["f()", "g()"])
    dialogue.add_tool_results(["1", "2"])
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


@pytest.mark.parametrize(("capabilities", "message", "added"), ANNOUNCED.values(), ids=ANNOUNCED)
def test_functions_that_were_held_back_are_announced(
    capabilities: ChatCapabilities, message: str, added: list[str]
) -> None:
    late = task(**LATE)
    dialogue = Dialogue(late, capabilities)
    assert [f["name"] for f in dialogue.task.functions] == ["mkdir", "cd"]
    dialogue.add_answer("There is no function.", [])
    assert dialogue.task.messages[-1] == said(message)
    assert [f["name"] for f in dialogue.task.functions] == ["mkdir", "cd", *added]
    assert [f["name"] for f in late.functions] == ["mkdir", "cd"]


def test_a_turn_without_end_ends_the_conversation() -> None:
    dialogue = Dialogue(task(), PROMPTING)
    steps = 0
    while not dialogue.finished:
        dialogue.add_answer("cd(folder='.')", ["cd(folder='.')"])
        dialogue.add_tool_results(["x"])
        steps += 1
    assert (steps, len(dialogue.turns)) == (21, 1)


def test_steps_are_counted_by_turn() -> None:
    dialogue = Dialogue(task(), PROMPTING)
    for _ in range(2):
        for _ in range(20):
            dialogue.add_answer("f()", ["f()"])
            dialogue.add_tool_results(["x"])
        dialogue.add_answer("Done.", [])
    assert [len(turn) for turn in dialogue.turns] == [21, 21]


WITH_TOOL = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"

TEMPLATES = {
    "any role": (WITH_TOOL, "Bfcl", PROMPTING),
    "tools": ("{{ tools | tojson }}" + WITH_TOOL, "ChatTemplate", TOOLS),
    "raises": (
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('role') }}{% endif %}"
        "{{ m.content }}{% endfor %}",
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


@pytest.mark.parametrize(("template", "name", "capabilities"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_says_whether_it_knows_the_tool_role(
    checkpoint: Any, template: str, name: str, capabilities: ChatCapabilities
) -> None:
    with _encoder(checkpoint, template, name) as encoder:
        assert detect_capabilities(task(), encoder) == capabilities


def test_a_template_that_hangs_on_the_tool_role_is_the_models_fault(checkpoint: Any) -> None:
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    template = "{% for m in messages %}{% if m.role == 'tool' %}" + loop + "{% endif %}{{ m.content }}{% endfor %}"
    with _encoder(checkpoint, template, "Bfcl") as encoder, pytest.raises(ModelFault) as fault:
        detect_capabilities(task(), encoder)
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


@contextmanager
def _encoder(checkpoint: Any, template: str, name: str) -> Iterator[PromptEncoder]:
    for shipped in checkpoint.path.glob("chat_template*"):
        shipped.unlink()
    checkpoint.edit("tokenizer_config.json", lambda content: content | {"chat_template": template})
    with SandboxedTokenizer(checkpoint.path, replace(LIMITS, cpu_seconds=1.0, wall_factor=100)) as tokenizer:
        yield open_encoder(tokenizer, BuiltinPromptFormat(name), max_tokens=8, token_limit=2048, vocab_size=640)
