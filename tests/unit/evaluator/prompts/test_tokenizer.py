"""Prompts and answers through the sandbox: honest templates exactly, hostile ones within limits."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.chat_templates.render import MAX_PROMPT_CHARACTERS
from bitagent_evaluator.evaluation.strategies import ScoringOptions, open_encoder, prepare_strategies
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt
from bitagent_evaluator.prompts.tokenizer import LIMITS, MAX_ANSWER_CHARACTERS, SandboxedTokenizer, TemplateError
from bitagent_evaluator.support.faults import ModelFault

QUICK = dataclasses.replace(LIMITS, cpu_seconds=1.0, wall_factor=100)

QUESTION = [{"role": "user", "content": "Give me a random number between 205 and 390."}]


def heldout(models: Path) -> list[ChatPrompt]:
    lines = (models / "heldout.jsonl").read_text().splitlines()
    return [ChatPrompt(line["messages"], line["tools"]) for line in map(json.loads, lines)]


def test_prompts_are_those_of_the_reference_library(models: Path) -> None:
    transformers = pytest.importorskip("transformers")
    chats = heldout(models)
    reference = transformers.AutoTokenizer.from_pretrained(str(models / "tiny-fc-1200"))
    expected = [
        reference.apply_chat_template(
            chat.messages, tools=chat.tools, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        for chat in chats
    ]
    with SandboxedTokenizer(models / "tiny-fc-1200") as tokenizer:
        tokenization = tokenizer.load()
        assert tokenization.uses_tools and tokenization.stop_ids == (2,)
        assert tokenizer.encode_prompts(chats) == expected
        assert tokenizer.decode([[*expected[0][:3], 2], []]) == [
            reference.decode(expected[0][:3], skip_special_tokens=True),
            "",
        ]
        assert tokenizer.decode([]) == []


def template(source: str) -> Callable[[Any], None]:
    return lambda model: (model.path / "chat_template.jinja").write_text(source)


def change_tokenizer(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], None]:
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
        template("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}"),
        Reason.TEMPLATE_REFUSED,
        "262144",
    ),
    "nested": (template(NESTED), Reason.TEMPLATE_REFUSED, "nested"),
    "calls itself": (template("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), Reason.TEMPLATE_REFUSED, "nested"),
    "syntax error": (template("{% for %}"), Reason.TEMPLATE_REFUSED, "TemplateSyntaxError"),
    "random": (template("{{ [1, 2] | random }}"), Reason.TEMPLATE_REFUSED, "random"),
    "reaches for Python": (template("{{ ''.__class__.__mro__ }}"), Reason.TEMPLATE_REFUSED, "SecurityError"),
    "reaches for globals": (template("{{ cycler.__init__.__globals__ }}"), Reason.TEMPLATE_REFUSED, "SecurityError"),
    "refuses": (template("{{ raise_exception('only one turn') }}"), Reason.TEMPLATE_REFUSED, "only one turn"),
    "undefined": (template("{{ messages[0].no.no }}"), Reason.TEMPLATE_REFUSED, "UndefinedError"),
    "too long a source": (template("a" * 65_537), Reason.TEMPLATE_REFUSED, "65537"),
    "unknown tokenizer": (
        change_tokenizer(lambda c: {**c, "model": {"type": "Magic"}}),
        Reason.BAD_TOKENIZER,
        "tokenizer",
    ),
    "no tokenizer model": (change_tokenizer(lambda c: {}), Reason.BAD_TOKENIZER, "tokenizer"),
    "tokenizer whose reader panics": (
        change_tokenizer(lambda c: {**c, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}),
        Reason.BAD_TOKENIZER,
        "PanicException",
    ),
    "tokenizer that panics": (
        change_tokenizer(lambda c: {**c, "pre_tokenizer": {"type": "FixedLength", "length": 0}}),
        Reason.BAD_TOKENIZER,
        "PanicException",
    ),
}


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
    change_tokenizer(lambda content: {**content, "normalizer": normalizer})(checkpoint)
    with pytest.raises(ModelFault, match="does not decode back") as fault:
        load_and_write(checkpoint.path)
    assert fault.value.reason is Reason.BAD_TOKENIZER


_ITSELF = {"Sequence": {"id": "A", "type_id": 0}}

_PAIR = [_ITSELF, {"Sequence": {"id": "B", "type_id": 1}}]

_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


@pytest.mark.parametrize(
    "changes",
    [
        {
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [_ITSELF] * 1000,
                "pair": _PAIR,
                "special_tokens": {},
            }
        },
        {"normalizer": replacing(" ", "." * 3000)},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [_BYTES] * 10}},
    ],
    ids=["repeats the text", "long signs for blanks", "bytes of bytes"],
)
def test_tokenizer_that_multiplies_prompts_is_refused(checkpoint: Any, changes: dict[str, Any]) -> None:
    change_tokenizer(lambda content: {**content, **changes})(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        with pytest.raises(ModelFault, match="tokens, allowed") as fault:
            tokenizer.encode_prompts([RawPrompt("What is the weather in Berlin? " * 30)])
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
    change_tokenizer(lambda content: {**content, "normalizer": normalizer})(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        assert tokenizer.encode_prompts([RawPrompt(" Café ½ ＡＢ x\u0301 205 हिन्दी")])


def load_and_write(model: Path) -> None:
    """A round of one task, up to where an engine would be asked."""
    task = Task(id="t", source="s", category="c", messages=QUESTION, functions=[], expects=Expects.NO_CALL)
    with SandboxedTokenizer(model, QUICK) as tokenizer:
        encoder = open_encoder(
            tokenizer, BuiltinPromptFormat.CHAT_TEMPLATE, max_tokens=8, token_limit=2048, vocab_size=4096
        )
        prepare_strategies([task], encoder, ScoringOptions(BuiltinScorer.BFCL))


ALTERNATING = (
    "{% for m in messages %}"
    "{% if loop.index0 % 2 == 0 and m.role != 'user' or loop.index0 % 2 and m.role != 'assistant' %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}"
)

TURNS = [QUESTION, [*QUESTION, *QUESTION], QUESTION]


def test_a_template_refuses_the_conversations_that_it_raises_on(checkpoint: Any) -> None:
    template(ALTERNATING)(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        first, refused, ready, last = tokenizer.encode_prompts(
            [*(ChatPrompt(turns, None) for turns in TURNS[:2]), RawPrompt("x"), ChatPrompt(QUESTION, None)]
        )
        assert first == last and isinstance(ready, list)
        assert refused == TemplateError("the chat template: TemplateError: roles must alternate")


def test_a_prompt_over_the_limit_is_refused_alone(checkpoint: Any) -> None:
    template("{% for m in messages %}{{ m.content }}{% endfor %}")(checkpoint)
    long = [{"role": "user", "content": "x" * (MAX_PROMPT_CHARACTERS + 1)}]
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        refused, written = tokenizer.encode_prompts([ChatPrompt(long, None), ChatPrompt(QUESTION, None)])
        assert isinstance(refused, TemplateError) and str(MAX_PROMPT_CHARACTERS) in refused.message
        assert isinstance(written, list)


def filled(number: int) -> str:
    """A template that writes so many signs of four tokens after the messages."""
    sign = "\U0001f53a"
    return "{% for m in messages %}{{ m.content }}{% endfor %}{{ '" + sign + "' * " + str(number) + " }}"


@pytest.mark.parametrize(("number", "written"), [(1_000, True), (1_500, False)])
def test_a_prompt_that_is_long_for_its_conversation_is_refused_alone(
    checkpoint: Any, number: int, written: bool
) -> None:
    template(filled(number))(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        prompt, long = tokenizer.encode_prompts(
            [ChatPrompt(QUESTION, None), ChatPrompt([{"role": "user", "content": "area of it " * 2_000}], None)]
        )
        assert isinstance(prompt, list) is written and isinstance(long, list)
        assert written or (isinstance(prompt, TemplateError) and "for this conversation" in prompt.message)


def test_a_template_that_fills_every_prompt_is_refused(checkpoint: Any) -> None:
    template(filled(6_000))(checkpoint)
    with pytest.raises(ModelFault) as fault:
        load_and_write(checkpoint.path)
    assert fault.value.reason is Reason.TEMPLATE_REFUSED


def test_a_text_that_does_not_decode_to_itself_refuses_the_tokenizer(checkpoint: Any) -> None:
    """White space vanishes, which no rule forbids and no word shows."""
    change_tokenizer(lambda content: {**content, "pre_tokenizer": {**content["pre_tokenizer"], "pretokenizers": [
        {"type": "WhitespaceSplit"}, *content["pre_tokenizer"]["pretokenizers"]
    ]}})(checkpoint)  # fmt: skip
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        assert tokenizer.encode_texts(["oneword"])
        with pytest.raises(ModelFault, match="does not decode back") as fault:
            tokenizer.encode_texts(["two words"])
    assert fault.value.reason is Reason.BAD_TOKENIZER


def test_a_template_that_reaches_for_python_once_is_refused_whole(checkpoint: Any) -> None:
    template("{% if messages | length > 1 %}{{ ''.__class__.__mro__ }}{% endif %}{{ messages[0].content }}")(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        with pytest.raises(ModelFault, match="SecurityError"):
            tokenizer.encode_prompts([ChatPrompt(turns, None) for turns in TURNS])


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
    change_tokenizer(with_long_token)(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        assert [len(text) for text in tokenizer.decode([[0] * 50, []])] == [MAX_ANSWER_CHARACTERS, 0]
        assert [len(text) for text in tokenizer.decode([[0] * 2], special_tokens=True)] == [200_000]


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
    expected = [reference(prompt.text, add_special_tokens=prompt.add_special_tokens).input_ids for prompt in prompts]
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        assert tokenizer.encode_prompts(prompts) == expected
    assert [ids[:1] == [0] for ids in expected] == [begins] * 3 + [False] * 3
    assert 1 in expected[0]  # <|im_start|> in the text is the token


def test_chats_and_ready_texts_keep_their_order(checkpoint: Any) -> None:
    checkpoint.edit("tokenizer.json", with_beginning)
    ready = RawPrompt("x")
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load()
        chat, text, unmarked = tokenizer.encode_prompts(
            [ChatPrompt(QUESTION, None), ready, RawPrompt("x", add_special_tokens=False)]
        )
        assert tokenizer.encode_prompts([ready, ChatPrompt(QUESTION, None), ready]) == [text, chat, text]
        assert isinstance(unmarked, list) and isinstance(chat, list)
        assert text == [0, *unmarked] and chat[0] != 0
        assert tokenizer.encode_prompts([]) == []


def test_ready_text_needs_no_template(checkpoint: Any) -> None:
    template(LOOPS)(checkpoint)
    with SandboxedTokenizer(checkpoint.path, QUICK) as tokenizer:
        assert not tokenizer.load(template=False).uses_tools
        assert len(tokenizer.encode_prompts([RawPrompt("x")])) == 1


def test_a_formats_stop_tokens_count_where_the_tokenizer_knows_them(models: Path) -> None:
    with SandboxedTokenizer(models / "tiny-fc-1200") as tokenizer:
        assert tokenizer.load(stop_tokens=["<|im_start|>", "<|unknown|>"]).stop_ids == (1, 2)


def test_model_without_template_gets_chatml(checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").unlink()
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        assert not tokenizer.load().uses_tools
        (prompt,) = tokenizer.encode_prompts([ChatPrompt(QUESTION, None)])
        assert isinstance(prompt, list)
        assert tokenizer.decode([prompt]) == [f"user\n{QUESTION[0]['content']}\nassistant\n"]


@pytest.mark.parametrize("place", ["folder", "list", "object", "processor's file"])
def test_template_for_tools_is_used_with_tools_as_in_the_reference_library(
    checkpoint: Any, models: Path, place: str
) -> None:
    transformers = pytest.importorskip("transformers")
    file = checkpoint.path / "chat_template.jinja"
    tools = file.read_text()
    plain = "PLAIN " + tools[tools.index("{% for m in messages %}") :]
    named = {"default": plain, "tool_use": tools}
    if place == "folder":
        file.write_text(plain)
        (checkpoint.path / "additional_chat_templates").mkdir()
        (checkpoint.path / "additional_chat_templates" / "tool_use.jinja").write_text(tools)
    else:
        file.unlink()
        as_list = [{"name": name, "template": source} for name, source in named.items()]
        value = as_list if place == "list" else named
        if place == "processor's file":  # which the library reads for processors only
            (checkpoint.path / "chat_template.json").write_text(json.dumps({"chat_template": named}))
        else:
            checkpoint.edit("tokenizer_config.json", lambda content: {**content, "chat_template": value})
    asked = heldout(models)[0]
    chats = [ChatPrompt(asked.messages, None), asked]
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        assert tokenizer.load().uses_tools
        prompts = tokenizer.encode_prompts(chats)
        texts = tokenizer.decode(prompts, special_tokens=True)
    assert [text.startswith("PLAIN") for text in texts] == [True, False]
    if place != "processor's file":
        reference = transformers.AutoTokenizer.from_pretrained(str(checkpoint.path))
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": False}
        assert prompts == [reference.apply_chat_template(chat.messages, tools=chat.tools, **options) for chat in chats]


def test_a_token_that_the_vocabulary_does_not_have_is_written_in_parts(checkpoint: Any) -> None:
    """Gemma 3 has one for images: its text in a task must not be the model's fault, nor reach the engine as that id."""
    size = json.loads((checkpoint.path / "config.json").read_text())["vocab_size"]

    def with_image(content: dict[str, Any]) -> dict[str, Any]:
        token = {**content["added_tokens"][-1], "id": size, "content": "<image_soft_token>", "special": True}
        return {**content, "added_tokens": [*content["added_tokens"], token]}

    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        plain = tokenizer.encode_texts(["Show it."])
    change_tokenizer(with_image)(checkpoint)
    with SandboxedTokenizer(checkpoint.path) as tokenizer:
        tokenizer.load(template=False)
        ids = tokenizer.encode_texts(["Show <image_soft_token> in <image_soft_token>.", "Show it."])
        assert max(ids[0]) < size and ids[1:] == plain
        assert tokenizer.decode(ids[:1]) == ["Show <image_soft_token> in <image_soft_token>."]
