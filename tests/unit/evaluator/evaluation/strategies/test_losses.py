"""What is measured of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, LossNormalization, LossParameters
from bitagent_crds.fields import PromptFormatName
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.strategies import ScoringOptions, open_encoder, prepare_strategies
from bitagent_evaluator.evaluation.strategies.losses import LossStrategy
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer
from bitagent_evaluator.support.faults import ModelFault

MODEL = "tiny-fc-1200"
PER_BYTE = LossParameters()


def per_token(sequence_length: int = 2048) -> LossParameters:
    return LossParameters(normalization=LossNormalization.TOKEN, sequence_length=sequence_length)


def task(index: int, reference: str | None = "add(a=1, b=2)", question: str = "Add 1 and 2.") -> Task:
    return Task(
        id=f"t{index}",
        source="stream",
        category="even" if index % 2 == 0 else "odd",
        messages=[{"role": "user", "content": question}],
        functions=[],
        expects=Expects.NO_CALL if reference is None else Expects.TEXT,
        reference=reference,
    )


def prepare(
    model: Path,
    tasks: Sequence[Task],
    *,
    loss: LossParameters = PER_BYTE,
    token_limit: int = 2048,
    vocab_size: int = 10**6,
    prompt_format: PromptFormatName = BuiltinPromptFormat.CHAT_TEMPLATE,
) -> LossStrategy:
    with SandboxedTokenizer(model) as tokenizer:
        encoder = open_encoder(tokenizer, prompt_format, max_tokens=8, token_limit=token_limit, vocab_size=vocab_size)
        asked = ScoringOptions(BuiltinScorer.LOSS, loss)
        (prepared,) = prepare_strategies(tasks, encoder, asked)
    assert isinstance(prepared, LossStrategy)
    return prepared


def decoded(model: Path, ids: list[int]) -> str:
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(model / "tokenizer.json"))
    text: str = tokenizer.decode(ids, skip_special_tokens=False)
    return text


@pytest.mark.parametrize(
    ("loss", "measured"),
    [
        pytest.param(PER_BYTE, "add(a=1, b=2)", id="per byte: the text and nothing else"),
        pytest.param(per_token(), "add(a=1, b=2)<|im_end|>", id="per token: the text and its end"),
    ],
)
def test_what_is_measured_comes_after_the_prompt(models: Path, loss: LossParameters, measured: str) -> None:
    (passage,) = prepare(models / MODEL, [task(0)], loss=loss).passages
    prompt, reference = passage.token_ids[: passage.start], passage.token_ids[passage.start :]
    assert decoded(models / MODEL, prompt) == "<|im_start|>user\nAdd 1 and 2.<|im_end|>\n<|im_start|>assistant\n"
    assert decoded(models / MODEL, reference) == measured


TEMPLATED = "<|im_start|>user\nAdd 1 and 2.<|im_end|>\n<|im_start|>assistant\n"

PROMPTS = {
    BuiltinPromptFormat.CHAT_TEMPLATE: TEMPLATED,
    BuiltinPromptFormat.BFCL: TEMPLATED,
    BuiltinPromptFormat.BITAGENT: TEMPLATED,
    BuiltinPromptFormat.HAMMER: TEMPLATED,
    BuiltinPromptFormat.CHATML: TEMPLATED,
    BuiltinPromptFormat.ALPACA: (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nAdd 1 and 2.\n\n### Response:\n"
    ),
    BuiltinPromptFormat.VICUNA: "USER: Add 1 and 2.\nASSISTANT:",
    BuiltinPromptFormat.LLAMA2: "[INST] Add 1 and 2. [/INST]",
}


@pytest.mark.parametrize(("name", "prompt"), PROMPTS.items(), ids=PROMPTS)
def test_no_format_asks_for_calls_where_a_text_is_measured(models: Path, name: PromptFormatName, prompt: str) -> None:
    (passage,) = prepare(models / MODEL, [task(0)], prompt_format=name).passages
    assert decoded(models / MODEL, passage.token_ids) == f"{prompt}add(a=1, b=2)"


def test_an_end_token_is_written_only_where_the_tokenizer_names_one(models: Path, checkpoint: Any) -> None:
    (with_end,) = prepare(models / MODEL, [task(0)], loss=per_token()).passages
    (per_byte,) = prepare(models / MODEL, [task(0)]).passages
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "eos_token": None})
    (without,) = prepare(checkpoint.path, [task(0)], loss=per_token()).passages
    assert without.token_ids == with_end.token_ids[:-1] == per_byte.token_ids


def test_what_is_beyond_the_sequence_length_is_cut(models: Path) -> None:
    whole, short = task(0, "word " * 4000), task(1)
    prepared = prepare(models / MODEL, [whole, short], loss=per_token(64))
    long, other = prepared.passages
    assert len(long.token_ids) == 64 > len(other.token_ids)
    assert decoded(models / MODEL, long.token_ids[long.start :]).startswith("word word")
    assert prepared.sequence_lengths == [64, len(other.token_ids)]
    assert len(prepare(models / MODEL, [whole], loss=per_token()).passages[0].token_ids) == 2048


@pytest.mark.parametrize(
    ("text", "limit", "measured"),
    [
        pytest.param("word word", 9, "word word", id="as long as allowed"),
        pytest.param("word word", 6, "word w", id="longer"),
        pytest.param("日本語", 7, "日本", id="inside a character"),
        pytest.param("日本語", 1, "日", id="never to nothing"),
        pytest.param("e\u0301te\u0301", 3, "\u00e9t", id="after composition"),
    ],
)
def test_a_reference_is_cut_before_it_is_tokenized(models: Path, text: str, limit: int, measured: str) -> None:
    for question in ("Add.", "Add 1 and 2. " * 30):
        prepared = prepare(
            models / MODEL, [task(0, text, question)], loss=LossParameters(reference_bytes=limit), token_limit=8192
        )
        (passage,) = prepared.passages
        assert decoded(models / MODEL, passage.token_ids[passage.start :]) == measured
        assert [*prepared.fingerprint()][2] == [len(measured.encode())]


@pytest.mark.parametrize("loss", [per_token(128), LossParameters(reference_bytes=128)], ids=["per token", "per byte"])
def test_a_reference_of_megabytes_takes_no_time(models: Path, loss: LossParameters) -> None:
    (passage,) = prepare(models / MODEL, [task(0, "a1 " * 3_000_000)], loss=loss).passages
    assert len(passage.token_ids) <= 256


def test_what_leaves_no_room_is_not_asked(models: Path) -> None:
    long_question = "Add 1 and 2. " * 20
    tasks = [task(0), task(1, question=long_question), task(2, None), task(3, "")]
    prepared = prepare(models / MODEL, tasks, loss=per_token(64))
    assert (prepared.task_ids, prepared.too_long) == (["t0"], ["t1"])
    prepared = prepare(models / MODEL, tasks, token_limit=64)
    assert (prepared.task_ids, prepared.too_long) == (["t0"], ["t1"])


def test_a_prompt_that_the_template_refuses_is_not_measured(checkpoint: Any) -> None:
    source = "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}{{ messages[0].content }}"
    (checkpoint.path / "chat_template.jinja").write_text(source)
    twice = task(0).model_copy(update={"messages": task(0).messages * 2})
    prepared = prepare(checkpoint.path, [twice, task(1)])
    assert (prepared.task_ids, prepared.too_long) == (["t1"], [])
    assert prepared.refused == {"t0": "the chat template: TemplateError: one turn"}


def test_a_sequence_that_the_model_does_not_take_is_not_cut_to_its_size(models: Path) -> None:
    length = len(prepare(models / MODEL, [task(0)]).passages[0].token_ids)
    assert prepare(models / MODEL, [task(0)], token_limit=length).task_ids == ["t0"]
    assert prepare(models / MODEL, [task(0)], token_limit=length - 1).too_long == ["t0"]


def test_tokens_outside_the_vocabulary_are_the_tokenizers_fault(models: Path) -> None:
    with pytest.raises(ModelFault, match="vocabulary has 300") as fault:
        prepare(models / MODEL, [task(0)], vocab_size=300)
    assert fault.value.reason is Reason.BAD_TOKENIZER


ONE_LETTER = {"type": "Replace", "pattern": {"Regex": "[^a]"}, "content": "a"}

NOTHING = {"type": "Split", "pattern": {"Regex": "[^a]"}, "behavior": "Removed", "invert": False}

CHEATS: dict[str, dict[str, Any]] = {
    "everything becomes one letter": {"normalizer": ONE_LETTER},
    "small letters only": {"normalizer": {"type": "Lowercase"}},
    "most of it vanishes": {"pre_tokenizer": NOTHING},
}


@pytest.mark.parametrize("loss", [PER_BYTE, per_token()], ids=["per byte", "per token"])
@pytest.mark.parametrize("changes", CHEATS.values(), ids=CHEATS.keys())
def test_a_tokenizer_that_loses_text_is_refused(checkpoint: Any, changes: dict[str, Any], loss: LossParameters) -> None:
    checkpoint.edit("tokenizer.json", lambda content: {**content, **changes})
    with pytest.raises(ModelFault) as fault:
        prepare(checkpoint.path, [task(0, "Add the Numbers")], loss=loss)
    assert fault.value.reason is Reason.BAD_TOKENIZER


@pytest.mark.parametrize(
    "text",
    ["  two blanks", "line\nbreaks\t", "e\u0301 decomposed", "\ufb01 ligature", "日本語 🙂", "<|im_end|> inside"],
)
def test_honest_tokenizers_are_not(checkpoint: Any, models: Path, text: str) -> None:
    for loss in (PER_BYTE, per_token()):
        assert prepare(models / MODEL, [task(0, text)], loss=loss).task_ids == ["t0"]
    checkpoint.edit("tokenizer.json", lambda content: {**content, "normalizer": {"type": "NFC"}})
    for loss in (PER_BYTE, per_token()):
        assert prepare(checkpoint.path, [task(0, text)], loss=loss).task_ids == ["t0"]


def test_the_fingerprint_tells_prompt_from_reference_and_bytes_from_tokens(models: Path) -> None:
    prepared = prepare(models / MODEL, [task(0)], loss=per_token())
    (passage,) = prepared.passages
    assert [*prepared.fingerprint()] == [passage.token_ids[: passage.start], passage.token_ids[passage.start :]]
    assert [*prepare(models / MODEL, [task(0)]).fingerprint()][-1] == [len("add(a=1, b=2)")]
