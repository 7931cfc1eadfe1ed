"""Prompts and answers through the bounded child: honest templates exactly, hostile ones within bounds."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Expects, Task
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.formats import Chat, RawPrompt
from bitagent_evaluator.rendering.prompts import LIMITS, MAX_ANSWER_CHARACTERS, PromptWriter, Refusal
from bitagent_evaluator.rendering.template import CHATML, MAX_PROMPT_CHARACTERS, ChatTemplate
from bitagent_evaluator.rendering.tokens import special_tokens, stop_ids
from bitagent_evaluator.runs.asking import Asked, open_wording, prepare_ways
from bitagent_evaluator.runs.asking.single_turn import SingleTurn

QUICK = dataclasses.replace(LIMITS, cpu_seconds=1.0, wall_factor=100)
QUESTION = [{"role": "user", "content": "Give me a random number between 205 and 390."}]


def heldout(models: Path) -> list[Chat]:
    lines = (models / "heldout.jsonl").read_text().splitlines()
    return [Chat(line["messages"], line["tools"]) for line in map(json.loads, lines)]


def test_prompts_are_those_of_the_reference_library(models: Path) -> None:
    transformers = pytest.importorskip("transformers")
    chats = heldout(models)
    reference = transformers.AutoTokenizer.from_pretrained(str(models / "tiny-fc-1200"))
    wanted = [
        reference.apply_chat_template(
            chat.messages, tools=chat.tools, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        for chat in chats
    ]
    with PromptWriter(models / "tiny-fc-1200") as writer:
        tokenization = writer.load()
        assert tokenization.uses_tools and tokenization.stop_ids == (2,)
        assert writer.write(chats) == wanted
        assert writer.read([[*wanted[0][:3], 2], []]) == [reference.decode(wanted[0][:3], skip_special_tokens=True), ""]
        assert writer.read([]) == []


def template(source: str) -> Callable[[Any], None]:
    return lambda model: (model.path / "chat_template.jinja").write_text(source)


def tokenizer(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], None]:
    return lambda model: model.edit("tokenizer.json", change)


NESTED = "{% if 1 %}" * 2000 + "{% endif %}" * 2000
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
HOSTILE = {
    "endless loops": (template(LOOPS), Reason.TEMPLATE_REFUSED, "processor time"),
    "huge power": (template("{{ (messages | length + 8) ** (9 ** 9) }}"), Reason.TEMPLATE_REFUSED, "processor time"),
    "huge power when compiled": (template("{{ 9 ** (9 ** 9) }}"), Reason.TEMPLATE_REFUSED, "processor time"),
    "ten gigabytes": (template("{{ 'a' * 10 ** 10 }}"), Reason.TEMPLATE_REFUSED, "memory"),
    "wide format": (template("{{ '{:>9999999999}'.format(1) }}"), Reason.TEMPLATE_REFUSED, "memory"),
    "long output": (
        template("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}"), Reason.TEMPLATE_REFUSED, "262144"
    ),
    "nested": (template(NESTED), Reason.TEMPLATE_REFUSED, "nested"),
    "calls itself": (template("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), Reason.TEMPLATE_REFUSED, "nested"),
    "syntax error": (template("{% for %}"), Reason.TEMPLATE_REFUSED, "TemplateSyntaxError"),
    "random": (template("{{ [1, 2] | random }}"), Reason.TEMPLATE_REFUSED, "random"),
    "reaches for Python": (template("{{ ''.__class__.__mro__ }}"), Reason.TEMPLATE_REFUSED, "SecurityError"),
    "reaches for globals": (template("{{ cycler.__init__.__globals__ }}"), Reason.TEMPLATE_REFUSED, "SecurityError"),
    "refuses": (template("{{ raise_exception('only one turn') }}"), Reason.TEMPLATE_REFUSED, "only one turn"),
    "undefined": (template("{{ messages[0].no.no }}"), Reason.TEMPLATE_REFUSED, "UndefinedError"),
    "too long a source": (template(" " * 65_537), Reason.TEMPLATE_REFUSED, "65537"),
    "unknown tokenizer": (tokenizer(lambda c: {**c, "model": {"type": "Magic"}}), Reason.BAD_TOKENIZER, "tokenizer"),
    "no tokenizer model": (tokenizer(lambda c: {}), Reason.BAD_TOKENIZER, "tokenizer"),
    "tokenizer whose reader panics": (
        tokenizer(lambda c: {**c, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}),
        Reason.BAD_TOKENIZER,
        "PanicException",
    ),
    "tokenizer that panics": (
        tokenizer(lambda c: {**c, "pre_tokenizer": {"type": "FixedLength", "length": 0}}),
        Reason.BAD_TOKENIZER,
        "PanicException",
    ),
}  # fmt: skip


def replacing(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


@pytest.mark.parametrize(
    "normalizer",
    [
        replacing("random number", "get_random_number"),
        {"type": "Sequence", "normalizers": [{"type": "NFC"}, replacing("205", "call f(205)")]},
    ],
    ids=["replaces", "replaces in a sequence"],
)
def test_tokenizer_that_rewrites_prompts_is_refused(checkpoint: Any, normalizer: dict[str, Any]) -> None:
    tokenizer(lambda content: {**content, "normalizer": normalizer})(checkpoint)
    with pytest.raises(ModelFault, match="rewrites words") as fault:
        load_and_write(checkpoint.path)
    assert fault.value.reason is Reason.BAD_TOKENIZER


_ITSELF = {"Sequence": {"id": "A", "type_id": 0}}
_PAIR = [_ITSELF, {"Sequence": {"id": "B", "type_id": 1}}]
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


@pytest.mark.parametrize(
    "changes",
    [
        {"post_processor": {"type": "TemplateProcessing", "single": [_ITSELF] * 1000, "pair": _PAIR, "special_tokens": {}}},
        {"normalizer": replacing(" ", "." * 3000)},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [_BYTES] * 10}},
    ],
    ids=["repeats the text", "long signs for blanks", "bytes of bytes"],
)  # fmt: skip
def test_tokenizer_that_multiplies_prompts_is_refused(checkpoint: Any, changes: dict[str, Any]) -> None:
    tokenizer(lambda content: {**content, **changes})(checkpoint)
    with PromptWriter(checkpoint.path) as writer:
        writer.load(template=False)
        with pytest.raises(ModelFault, match="tokens, allowed") as fault:
            writer.write([RawPrompt("What is the weather in Berlin? " * 30)])
    assert fault.value.reason is Reason.BAD_TOKENIZER


@pytest.mark.parametrize(
    "normalizer",
    [
        {"type": "NFKC"},
        {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
        {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replacing(" ", "▁")]},
        {"type": "Strip", "strip_left": True, "strip_right": True},
        None,
    ],
    ids=["nfkc", "accents and case", "signs for blanks", "strips", "none"],
)
def test_tokenizer_may_change_the_form_of_characters(checkpoint: Any, normalizer: dict[str, Any] | None) -> None:
    tokenizer(lambda content: {**content, "normalizer": normalizer})(checkpoint)
    with PromptWriter(checkpoint.path) as writer:
        writer.load(template=False)
        assert writer.write([RawPrompt(" Café ½ ＡＢ x\u0301 205 हिन्दी")])


def load_and_write(model: Path) -> None:
    """A round of one task, up to where an engine would be asked."""
    task = Task(id="t", source="s", category="c", messages=QUESTION, functions=[], expects=Expects.NO_CALL)
    with PromptWriter(model, QUICK) as writer:
        wording = open_wording(writer, PromptFormat.CHAT_TEMPLATE, max_tokens=8, token_limit=2048, vocab_size=4096)
        prepare_ways([task], wording, Asked(Scorer.BFCL))


ALTERNATING = (
    "{% for m in messages %}{% if loop.index0 % 2 == 0 and m.role != 'user' or loop.index0 % 2 and m.role != 'assistant' %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}"
)
TURNS = [QUESTION, [*QUESTION, *QUESTION], QUESTION]


def test_a_template_refuses_the_conversations_that_it_raises_on(checkpoint: Any) -> None:
    template(ALTERNATING)(checkpoint)
    with PromptWriter(checkpoint.path) as writer:
        writer.load()
        first, refused, ready, last = writer.write(
            [*(Chat(turns, None) for turns in TURNS[:2]), RawPrompt("x"), Chat(QUESTION, None)]
        )
        assert first == last and isinstance(ready, list)
        assert refused == Refusal("the chat template: TemplateError: roles must alternate")


def test_a_prompt_over_the_limit_is_refused_alone(checkpoint: Any) -> None:
    template("{% for m in messages %}{{ m.content }}{% endfor %}")(checkpoint)
    long = [{"role": "user", "content": "x" * (MAX_PROMPT_CHARACTERS + 1)}]
    with PromptWriter(checkpoint.path) as writer:
        writer.load()
        refused, written = writer.write([Chat(long, None), Chat(QUESTION, None)])
        assert isinstance(refused, Refusal) and str(MAX_PROMPT_CHARACTERS) in refused.message
        assert isinstance(written, list)


def test_a_template_that_reaches_for_python_once_is_refused_whole(checkpoint: Any) -> None:
    template("{% if messages | length > 1 %}{{ ''.__class__.__mro__ }}{% endif %}{{ messages[0].content }}")(checkpoint)
    with PromptWriter(checkpoint.path) as writer:
        writer.load()
        with pytest.raises(ModelFault, match="SecurityError"):
            writer.write([Chat(turns, None) for turns in TURNS])


@pytest.mark.parametrize(("damage", "reason", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_model_is_refused_within_bounds(
    checkpoint: Any, damage: Callable[[Any], None], reason: Reason, words: str
) -> None:
    damage(checkpoint)
    started = time.monotonic()
    with pytest.raises(ModelFault) as fault:
        load_and_write(checkpoint.path)
    assert fault.value.reason is reason
    assert words in fault.value.message
    assert time.monotonic() - started < 60


def with_long_token(content: dict[str, Any]) -> dict[str, Any]:
    """Token 0 stands for 100,000 letters."""
    first = next(token for token, number in content["model"]["vocab"].items() if number == 0)
    vocabulary = {
        "a" * 100_000 if token == first else token: number for token, number in content["model"]["vocab"].items()
    }
    added = [token for token in content["added_tokens"] if token["id"] != 0]
    return {**content, "added_tokens": added, "model": {**content["model"], "vocab": vocabulary, "merges": []}}


def test_answers_of_any_length_take_bounded_room(checkpoint: Any) -> None:
    tokenizer(with_long_token)(checkpoint)
    with PromptWriter(checkpoint.path) as writer:
        writer.load()
        assert [len(text) for text in writer.read([[0] * 50, []])] == [MAX_ANSWER_CHARACTERS, 0]
        assert [len(text) for text in writer.read([[0] * 2], special_tokens=True)] == [200_000]


TEXTS = ["[INST] Hé <|im_start|> [/INST]", "", "a <s> b"]


def with_beginning(content: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer that puts `<|endoftext|>` before every text."""
    begin = {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    post = content["post_processor"]
    single = [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, *post["single"]]
    return {**content, "post_processor": {**post, "single": single, "special_tokens": {begin["id"]: begin}}}


@pytest.mark.parametrize("begins", [False, True], ids=["no beginning token", "beginning token"])
def test_ready_text_is_tokenized_as_the_reference_library_does(checkpoint: Any, begins: bool) -> None:
    transformers = pytest.importorskip("transformers")
    if begins:
        checkpoint.edit("tokenizer.json", with_beginning)
    reference = transformers.PreTrainedTokenizerFast(tokenizer_file=str(checkpoint.path / "tokenizer.json"))
    prompts = [RawPrompt(text, add_special_tokens=special) for special in (True, False) for text in TEXTS]
    wanted = [reference(prompt.text, add_special_tokens=prompt.add_special_tokens).input_ids for prompt in prompts]
    with PromptWriter(checkpoint.path) as writer:
        writer.load(template=False)
        assert writer.write(prompts) == wanted
    assert [ids[:1] == [0] for ids in wanted] == [begins] * 3 + [False] * 3
    assert 1 in wanted[0]  # <|im_start|> in the text is the token


def test_chats_and_ready_texts_keep_their_order(checkpoint: Any) -> None:
    checkpoint.edit("tokenizer.json", with_beginning)
    ready = RawPrompt("x")
    with PromptWriter(checkpoint.path) as writer:
        writer.load()
        chat, text, unmarked = writer.write([Chat(QUESTION, None), ready, RawPrompt("x", add_special_tokens=False)])
        assert writer.write([ready, Chat(QUESTION, None), ready]) == [text, chat, text]
        assert isinstance(unmarked, list) and isinstance(chat, list)
        assert text == [0, *unmarked] and chat[0] != 0
        assert writer.write([]) == []


def test_ready_text_needs_no_template(checkpoint: Any) -> None:
    template(LOOPS)(checkpoint)
    with PromptWriter(checkpoint.path, QUICK) as writer:
        assert not writer.load(template=False).uses_tools
        assert len(writer.write([RawPrompt("x")])) == 1


def test_a_round_in_a_raw_format_needs_no_template_and_ends_at_the_formats_token(checkpoint: Any) -> None:
    template(LOOPS)(checkpoint)
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "eos_token": "<|endoftext|>"})
    checkpoint.config(eos_token_id=0)
    checkpoint.edit("generation_config.json", lambda content: {**content, "eos_token_id": 0})
    task = Task(id="t", source="s", category="c", messages=QUESTION, functions=[], expects=Expects.NO_CALL)
    limits = {"max_tokens": 8, "token_limit": 2048, "vocab_size": 4096}
    with PromptWriter(checkpoint.path, QUICK) as writer:
        wording = open_wording(writer, PromptFormat.CHATML, **limits)
        (prompt,) = SingleTurn([task], wording, Asked(Scorer.BFCL)).prompts
        assert QUESTION[0]["content"] in writer.read([prompt.token_ids])[0]
    assert wording.stop_ids == (0, 2)
    assert wording.format.syntaxes == ("Python", "FunctionParams", "ReWoo")


def test_a_formats_stop_tokens_count_where_the_tokenizer_knows_them(models: Path) -> None:
    with PromptWriter(models / "tiny-fc-1200") as writer:
        assert writer.load(stop_tokens=["<|im_start|>", "<|unknown|>"]).stop_ids == (1, 2)


def test_model_without_template_gets_chatml(checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").unlink()
    with PromptWriter(checkpoint.path) as writer:
        assert not writer.load().uses_tools
        (prompt,) = writer.write([Chat(QUESTION, None)])
        assert isinstance(prompt, list)
        assert writer.read([prompt]) == [f"user\n{QUESTION[0]['content']}\nassistant\n"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}", "<s>hi"),
        ("{% generation %}{{ 'a' }}{% endgeneration %}", "a"),
        ("{% for m in messages %}{% break %}{% endfor %}x", "x"),
        ("{{ {'b': '<é>', 'a': 1} | tojson }}", '{"b": "<é>", "a": 1}'),
        ("{{ strftime_now('%Y-%m-%d') }}", "2026-01-01"),
        ("  {% if tools %}\n  tools\n  {% endif %}\nend", "end"),
        ("{{ tools is none and documents is none }}", "True"),
        (CHATML, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"),
    ],
    ids=["special token", "generation", "break", "tojson", "frozen clock", "trimmed", "nothing given", "chatml"],
)
def test_template_environment(source: str, text: str) -> None:
    chat = ChatTemplate(source, {"bos_token": "<s>"})
    assert chat.render([{"role": "user", "content": "hi"}], None) == text


def test_template_cannot_change_what_it_is_given() -> None:
    with pytest.raises(Exception, match="unsafe"):
        ChatTemplate("{{ messages.append(1) }}", {}).render(QUESTION, None)


@pytest.mark.parametrize(
    ("source", "uses"), [("{{ tools }}", True), ("{# tools #}x", False), ("{% set tools = 1 %}{{ tools }}", False)]
)
def test_whether_a_template_takes_tools(source: str, uses: bool) -> None:
    assert ChatTemplate(source, {}).uses_tools is uses


def test_special_tokens_of_both_files() -> None:
    found = special_tokens(
        {"eos_token": {"content": "</s>"}, "bos_token": "<s>"}, {"eos_token": "<|im_end|>", "pad_token": None}
    )
    assert found == {"eos_token": "<|im_end|>", "bos_token": "<s>"}


@pytest.mark.parametrize(
    ("special", "configurations", "wanted"),
    [
        ({"eos_token": "</s>"}, [{"eos_token_id": 7}, {}], [2, 7]),
        ({}, [{"eos_token_id": [7, 8]}, {"eos_token_id": 9}], [7, 8, 9]),
        ({}, [{"eos_token_id": "x"}, {"eos_token_id": [True, -1, 10**9, None]}], []),
        ({"eos_token": "unknown"}, [{}], []),
    ],
    ids=["token and id", "lists", "malformed", "unknown token"],
)
def test_stop_ids(special: dict[str, str], configurations: list[dict[str, Any]], wanted: list[int]) -> None:
    assert stop_ids(special, configurations, {"</s>": 2}.get, 100) == wanted
