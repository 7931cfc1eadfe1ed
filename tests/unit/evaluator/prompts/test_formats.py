"""Prompt formats by name, and what all built-in formats have in common."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bitagent_crds.fields import PromptFormatName
from bitagent_crds.plugins import BrokenPlugin, UnknownName
from bitagent_crds.task_forms import BuiltinPromptFormat, Language, ReturnFormat
from bitagent_crds.task_set import PromptVariation, Task
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt, known_formats, prompt_format
from bitagent_evaluator.prompts.chat_formats import Bfcl
from bitagent_evaluator.prompts.formats import BUILT_IN

MakeTask = Callable[..., Task]
RAW = [BuiltinPromptFormat.ALPACA, BuiltinPromptFormat.VICUNA, BuiltinPromptFormat.CHATML, BuiltinPromptFormat.LLAMA2]

FORMATS = [name for name in BuiltinPromptFormat if name != BuiltinPromptFormat.AUTO]


def shown(name: PromptFormatName, task: Task) -> str:
    """Return all that a model sees, as text."""
    prompt = prompt_format(name).build_prompt(task)
    if isinstance(prompt, RawPrompt):
        assert prompt.add_special_tokens
        return prompt.text
    return json.dumps(prompt.tools) if prompt.tools else "\n".join(message["content"] for message in prompt.messages)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("language", Language)
def test_the_task_is_not_changed(name: PromptFormatName, language: Language, task: MakeTask) -> None:
    given_task = task(language=language, a={"type": "any", "description": "It."})
    before = copy.deepcopy(given_task)
    prompt_format(name).build_prompt(given_task)
    assert given_task == before


@pytest.mark.parametrize("name", FORMATS)
def test_java_types_are_shown_in_words(name: PromptFormatName, task: MakeTask) -> None:
    java = task(language=Language.JAVA, a={"type": "ArrayList", "description": "It.", "items": {"type": "String"}})
    text = shown(name, java)
    assert (
        "It. This is Java ArrayList type parameter in string representation. The list elements are of type String"
        in text
    )
    assert '"ArrayList"' not in text
    assert "Java 8 SDK" in text


def test_auto_is_not_a_format() -> None:
    assert BuiltinPromptFormat.AUTO not in known_formats()
    with pytest.raises(ValueError, match="Auto"):
        prompt_format(BuiltinPromptFormat.AUTO)


def test_an_unknown_format_lists_the_known() -> None:
    with pytest.raises(UnknownName) as caught:
        prompt_format("Mistral")
    assert caught.value.known == sorted(FORMATS)


def test_every_built_in_name_has_a_format() -> None:
    assert list(BUILT_IN) == FORMATS
    assert known_formats() == sorted(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_python_calls_first_and_knows_its_syntaxes(name: PromptFormatName, task: MakeTask) -> None:
    made = prompt_format(name)
    assert made.syntaxes[0] == AnswerSyntax.PYTHON
    assert set(made.syntaxes) <= set(AnswerSyntax)
    assert made.uses_template is (name not in RAW)
    assert isinstance(made.build_prompt(task()), ChatPrompt) is made.uses_template


ACCEPTED = {
    "Bfcl": ["Python"],
    "BitAgent": ["Python"],
    "ChatTemplate": [
        "Python",
        "ArgumentTags",
        "ToolCallBlocks",
        "FunctionTags",
        "InvokeTags",
        "MistralCalls",
        "NamedCalls",
        "GemmaCalls",
        "PythonBlocks",
        "ReAct",
        "ToolCalls",
        "JsonList",
    ],
    "Hammer": ["Python", "JsonList"],
    **{name: ["Python", "FunctionParams", "ReWoo"] for name in RAW},
}


@pytest.mark.parametrize(("name", "syntaxes"), ACCEPTED.items(), ids=ACCEPTED)
def test_accepted_syntaxes(name: str, syntaxes: list[str]) -> None:
    assert list(prompt_format(name).syntaxes) == syntaxes


def test_only_chatml_ends_at_its_own_token() -> None:
    stop_tokens = {name: list(prompt_format(name).stop_tokens) for name in FORMATS}
    assert {name: tokens for name, tokens in stop_tokens.items() if tokens} == {
        BuiltinPromptFormat.CHATML: ["<|im_end|>"]
    }


@pytest.mark.usefixtures("example_plugin")
def test_a_package_adds_a_format(task: MakeTask) -> None:
    assert known_formats() == sorted([*FORMATS, "MarkdownTools"])
    markdown = prompt_format("MarkdownTools")
    assert markdown.syntaxes == (AnswerSyntax.JSON_LIST,) and markdown.uses_template
    prompt = markdown.build_prompt(task())
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[0]["content"].startswith("# Tools\n- `calc.add`: ")


XML = PromptVariation(return_format=ReturnFormat.CONCISE_XML, tool_call_tag=True)


@pytest.mark.usefixtures("example_plugin")
@pytest.mark.parametrize("name", [*FORMATS, "MarkdownTools"])
def test_a_variation_is_asked_in_its_own_words_whatever_the_format(name: str, task: MakeTask) -> None:
    varied = task().model_copy(update={"variation": XML})
    prompt, own = prompt_format(name).build_prompt(varied), Bfcl().build_prompt(varied)
    assert own.messages != Bfcl().build_prompt(task()).messages
    if isinstance(prompt, ChatPrompt):
        assert prompt == own and prompt.tools is None
    else:
        assert own.messages[0]["content"] in prompt.text


PLUGIN = """
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt

class Format:
    syntaxes = ("Python",)
    uses_template = False
    stop_tokens = ()
    def build_prompt(self, task):
        return RawPrompt("x")
"""
CHAT = "uses_template = True\n    def build_prompt(self, task): return ChatPrompt"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Return a function that installs a package with PLUGIN's format, changed; it returns the format's name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"format_plugin_{abs(hash(request.node.name))}"

    def write(change: str = "", *, name: str = "Theirs") -> str:
        info = tmp_path / f"{module}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[bitagent.prompt_formats]\n{name} = {module}:Format\n")
        (tmp_path / f"{module}.py").write_text(f"{PLUGIN}    {change}\n")
        return name

    return write


def test_a_packages_format_builds_prompts(install: Callable[..., str], task: MakeTask) -> None:
    assert prompt_format(install()).build_prompt(task()) == RawPrompt("x")


def test_a_built_in_format_cannot_be_replaced(install: Callable[..., str]) -> None:
    assert isinstance(prompt_format(install(name="Bfcl")), Bfcl)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param("def __init__(self): raise RuntimeError('boom')", "RuntimeError: boom", id="cannot be created"),
        pytest.param("syntaxes = ('Python', 'Prose')", "'Prose'", id="unknown syntax"),
        pytest.param("syntaxes = ()", "no answer syntax", id="no syntax"),
        pytest.param("del build_prompt", "build_prompt", id="not a format"),
        pytest.param("syntaxes = None", "TypeError", id="syntaxes of another type"),
    ],
)
def test_a_format_that_cannot_be_used_is_the_packages_fault(
    install: Callable[..., str], change: str, problem: str
) -> None:
    with pytest.raises(BrokenPlugin, match=f"Theirs cannot be used: .*{problem}"):
        prompt_format(install(change))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param("def build_prompt(self, task): return task.nothing", "AttributeError", id="raises"),
        pytest.param("def build_prompt(self, task): return 'x'", "a str, not a RawPrompt", id="another type"),
        pytest.param("def build_prompt(self, task): return ChatPrompt([], None)", "not a RawPrompt", id="a chat"),
        pytest.param("def build_prompt(self, task): return RawPrompt(None)", "not a string", id="no text"),
        pytest.param(f"{CHAT}([{{'role': 'user'}}], None)", "KeyError: 'content'", id="no content"),
        pytest.param(f"{CHAT}([{{'role': 'user', 'content': []}}], None)", "not a string", id="content is not text"),
    ],
)
def test_a_wrong_prompt_is_the_packages_fault(
    install: Callable[..., str], task: MakeTask, change: str, problem: str
) -> None:
    """Not the model's, whose template would fail on it."""
    theirs = prompt_format(install(change))
    with pytest.raises(BrokenPlugin, match=f"Theirs failed on task t: .*{problem}"):
        theirs.build_prompt(task())


def test_a_packages_format_cannot_change_a_task(install: Callable[..., str], task: MakeTask) -> None:
    change = "def build_prompt(self, task): task.messages.clear(); return RawPrompt('x')"
    given = task()
    prompt_format(install(change)).build_prompt(given)
    assert given == task()
