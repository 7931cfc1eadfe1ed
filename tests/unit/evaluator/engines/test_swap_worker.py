"""The real engine, real weights: swapped models answer exactly as in an engine of their own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.engines.head import head_equals_embeddings
from bitagent_evaluator.engines.plan import CPU_BLOCK_TOKENS
from bitagent_evaluator.prompts import ChatPrompt
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer

pytestmark = pytest.mark.engine

Answers = Callable[..., dict[str, Any]]

PROGRAM = Path(__file__).parent / "engine_answers.py"
PROMPTS = 24


@pytest.fixture(scope="module")
def prompts(models: Path) -> list[list[int]]:
    """Held-out questions as token ids; each longer than a block of the prefix cache."""
    lines = [json.loads(line) for line in (models / "heldout.jsonl").read_text().splitlines()[:PROMPTS]]
    with SandboxedTokenizer(models / "tiny-fc-1200") as tokenizer:
        tokenizer.load()
        encoded = tokenizer.encode_prompts([ChatPrompt(line["messages"], line["tools"]) for line in lines])
    ids = [prompt for prompt in encoded if isinstance(prompt, list)]
    assert len(ids) == PROMPTS and min(map(len, ids)) > CPU_BLOCK_TOKENS
    return ids


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """Function: what `engine_answers` found, in one process for all tests of this module."""
    errors = tmp_path_factory.mktemp("engine") / "errors"
    with (
        errors.open("wb") as sink,
        subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True
        ) as program,
    ):
        assert program.stdin is not None and program.stdout is not None

        def ask(prompts: list[list[int]], steps: list[dict[str, Any]], *, dtype: str = "Float32") -> dict[str, Any]:
            named = [{**step, "model": str(step["model"])} for step in steps]
            assert program.poll() is None, "the program ended in an earlier test"
            print(json.dumps({"dtype": dtype, "prompts": prompts, "steps": named}), file=program.stdin, flush=True)
            assert program.stdout is not None
            line = program.stdout.readline()
            assert line, errors.read_text()[-3000:]
            found: dict[str, Any] = json.loads(line)
            return found

        yield ask
        program.stdin.close()


def overflowing(checkpoint: Any) -> Path:
    """A model of finite weights whose keys overflow, so that it fills the key-value cache with NaN."""

    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        changed = bytearray(data)
        for name, entry in header.items():
            if name.endswith("k_proj.weight"):
                start, end = entry["data_offsets"]
                for high in range(start + 1, end, 2):
                    changed[high] = changed[high] & 0x80 | 0x7E
        return header, bytes(changed)

    checkpoint.header(change)
    path: Path = checkpoint.path
    return path


@pytest.mark.parametrize("dtype", ["BFloat16", "Float32"])
def test_swapped_models_answer_as_in_a_fresh_engine(
    answers: Answers, prompts: list[list[int]], models: Path, checkpoint: Any, dtype: str
) -> None:
    good, weak, middling = (models / name for name in ("tiny-fc-1200", "tiny-fc-250", "tiny-fc-400"))
    swapped = [weak, good, overflowing(checkpoint), good, middling, weak]  # the first finds no engine yet
    found = answers(
        prompts,
        [{"model": model} for model in swapped] + [{"model": model, "fresh": True} for model in (good, middling)],
        dtype=dtype,
    )
    engines = found["engines"][: len(swapped)]
    assert len(set(engines)) == 1 and found["logged"].count("loaded the model's weights into the running engine") == 5
    first, second, broken, third, fourth, last, fresh_good, fresh_middling = found["answers"]
    assert first != fresh_good != fresh_middling
    assert first == last
    assert second == third == fresh_good != broken
    assert fourth == fresh_middling


def test_heads_beside_tied_embeddings_are_those_of_a_fresh_engine_in_any_order(
    answers: Answers, prompts: list[list[int]], variants: dict[str, Path]
) -> None:
    """The engine ties the first model's head, because it equals the embeddings, and would drop the second one's."""
    steps: list[tuple[str, dict[str, bool]]] = [
        ("equal head", {}),
        ("equal head, other weights", {}),
        ("own head", {}),
        ("own head, other weights", {}),
        ("equal head, other weights", {}),
        ("own head, other weights", {"forced": True}),
        ("own head", {}),
        ("untied", {}),
    ]
    found = answers(prompts[:12], [{"model": variants[name], **way} for name, way in steps])
    of: dict[str, list[Any]] = {}
    for (model, _), given in zip(steps, found["answers"], strict=True):
        of.setdefault(model, []).append(given)
    assert all(given == first for first, *others in of.values() for given in others)
    assert of["own head"][0] == of["untied"][0] != of["equal head"][0]
    logged = " ".join(found["logged"])
    assert logged.count("loaded the model's weights into the running engine") == 3
    assert "could not be exchanged: RuntimeError: lm_head.weight does not hold" in logged


@pytest.mark.parametrize(
    ("values", "dtype", "equal"),
    [
        pytest.param((1.0, 1.0), "bfloat16", True, id="equal"),
        pytest.param((1.0, 1.0078125), "bfloat16", False, id="different"),
        pytest.param((1e-9, 2e-9), "bfloat16", False, id="small numbers that bfloat16 has"),
        pytest.param((1e-9, 2e-9), "float16", True, id="and float16 does not have"),
        pytest.param((0.0, -0.0), "bfloat16", True, id="zeros of both signs"),
    ],
)
def test_head_and_embeddings_are_compared_as_the_engine_holds_them(
    tmp_path: Path, values: tuple[float, float], dtype: str, equal: bool
) -> None:
    import torch
    from safetensors.torch import save_file

    names = ("lm_head.weight", "model.embed_tokens.weight")
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        tensor = torch.full((5000, 2), 0.5, dtype=torch.bfloat16)
        tensor[-1, -1] = value
        save_file({name: tensor}, tmp_path / f"model-{number + 1:05}-of-00002.safetensors")
    assert head_equals_embeddings(tmp_path, dtype) is equal


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param((), "", id="all is held"),
        pytest.param(("layer.rotary_emb.inv_freq",), "", id="what engines ignore"),
        pytest.param(("scale",), "", id="a buffer"),
        pytest.param(("head.weight",), "", id="shared by two modules"),
        pytest.param(("layer.bias",), "has nothing that holds layer.bias", id="dropped"),
        pytest.param(("layer.weight_scale",), "has nothing that holds layer.weight_scale", id="dropped scale"),
    ],
)
def test_every_tensor_of_the_files_is_in_the_engine(tmp_path: Path, more: tuple[str, ...], error: str) -> None:
    import torch
    from safetensors.torch import save_file

    from bitagent_evaluator.engines.swap_worker import _check_parameters, _Checkpoint

    model = torch.nn.Module()
    for name in ("layer", "head"):
        model.add_module(name, torch.nn.Linear(2, 2, bias=False))
    model.head.weight = model.layer.weight
    model.register_buffer("scale", torch.ones(2, 2))
    model.register_buffer("computed", torch.ones(2))
    held = {"layer.weight": model.layer.weight.detach(), "head.weight": model.layer.weight.detach().clone()}
    names = ("layer.weight", *more)
    save_file({name: held.get(name, torch.ones(2, 2)) for name in names}, tmp_path / "model.safetensors")
    addresses = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    with ExitStack() as stack:
        checkpoint = _Checkpoint([str(tmp_path / "model.safetensors")], stack)
        expected = pytest.raises(RuntimeError, match=error) if error else nullcontext()
        with expected:
            _check_parameters(model, addresses, checkpoint)


def without_last_layer(checkpoint: Any) -> Path:
    """A sound model of two layers instead of three."""

    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        kept, content = {}, b""
        for name, entry in sorted(header.items()):
            if name == "__metadata__" or ".layers.2." in name:
                continue
            start, end = entry["data_offsets"]
            kept[name] = {**entry, "data_offsets": [len(content), len(content) + end - start]}
            content += data[start:end]
        return kept, content

    checkpoint.header(change)
    checkpoint.config(num_hidden_layers=2, layer_types=["full_attention"] * 2)
    path: Path = checkpoint.path
    return path


def test_weights_that_lack_a_layer_never_answer_with_the_previous_models(
    answers: Answers, prompts: list[list[int]], models: Path, checkpoint: Any
) -> None:
    """Forced past the first check, which would have refused it: vLLM itself accepts such weights without a word."""
    good, short = models / "tiny-fc-1200", without_last_layer(checkpoint)
    steps: list[dict[str, Any]] = [
        {"model": good}, {"model": short, "forced": True}, {"model": short, "fresh": True}, {"model": good},
    ]  # fmt: skip
    found = answers(prompts, steps)
    first, forced, fresh, last = found["answers"]
    assert forced == fresh != first == last
    (lost,) = (message for message in found["logged"] if "could not be exchanged" in message)
    assert "the checkpoint has nothing for model.layers.2." in lost


def test_greedy_answers_in_float32_depend_on_nothing_but_the_prompt(
    answers: Answers, prompts: list[list[int]], models: Path
) -> None:
    """Neither on the order nor on what is computed at the same time, nor on cached prefixes."""
    model = models / "tiny-fc-250"
    shuffled = list(range(len(prompts)))
    random.Random(5).shuffle(shuffled)
    ways: dict[str, dict[str, Any]] = {
        "all at once": {}, "again": {}, "shuffled": {"order": shuffled}, "by seven": {"batch": 7},
        "one by one": {"batch": 1}, "shuffled, by five": {"order": shuffled, "batch": 5}, "fresh": {"fresh": True},
    }  # fmt: skip
    found = answers(prompts, [{"model": model, **way} for way in ways.values()])
    given = dict(zip(ways, found["answers"], strict=True))
    assert len({json.dumps(answer) for answer in given["all at once"]}) > len(prompts) // 2
    assert [name for name in given if given[name] != given["all at once"]] == []
