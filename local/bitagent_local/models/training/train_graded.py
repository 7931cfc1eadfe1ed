"""``python -m bitagent_local.models.training.train_graded OUT``: train a ``tiny-fc-*`` model on a CPU.

Writes a Qwen2 checkpoint in the Hugging Face layout (bfloat16 safetensors, byte-level BPE tokenizer, chat template).
``--save-at`` keeps checkpoints of graded skill on the way; skill rises fastest between 250 and 400 steps. All random
choices follow from fixed seeds; weights still differ in their last bits between machines and torch versions.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from bitagent_local.models.training.qwen2 import (
    END,
    HEAD_WIDTH,
    IGNORED,
    LONGEST,
    PADDING,
    SPECIAL,
    Schedule,
    Size,
    save,
)
from bitagent_local.models.training.samples import Sample, draw, held_out

TOKENIZER_SEED, WEIGHTS_SEED, SAMPLES_SEED = 1, 0, 2

TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{% for t in tools %}{% set f = t.function if t.function is defined else t %}"
    "{{ f.name }}({% for p, s in f.parameters.properties.items() %}{{ p }}: {{ s.type }}"
    "{% if not loop.last %}, {% endif %}{% endfor %})\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(vocabulary: int) -> Any:
    """Train a byte-level BPE tokenizer on questions, answers and schemas; digits are single tokens."""
    random_ = random.Random(TOKENIZER_SEED)
    samples = [draw(random_) for _ in range(4000)]
    corpus = [sample.question for sample in samples] + [sample.answer for sample in samples]
    corpus += [json.dumps(tool.schema()) for sample in samples[:500] for tool in sample.tools]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PADDING, model_max_length=LONGEST
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


@dataclass(frozen=True)
class Encoded:
    """A sample as token ids."""

    prompt: list[int]
    answer: list[int]


def encode(tokenizer: Any, sample: Sample) -> Encoded:
    """Return the prompt as the chat template renders it, and the answer with its end token."""
    record = sample.record()
    prompt = tokenizer.apply_chat_template(
        record["messages"], tools=record["tools"], add_generation_prompt=True, tokenize=False
    )
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, sample.answer + END)]
    return Encoded(*ids)


def batches(tokenizer: Any, *, size: int, excluded: set[str]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield token ids, answer labels and prompt labels of new samples, none with one of the `excluded` questions."""
    random_ = random.Random(SAMPLES_SEED)
    while True:
        chosen: list[Encoded] = []
        while len(chosen) < size:
            sample = draw(random_)
            if sample.question not in excluded:
                chosen.append(encode(tokenizer, sample))
        width = max(len(sample.prompt) + len(sample.answer) for sample in chosen)
        ids = torch.zeros(size, width, dtype=torch.long)
        answers, prompts = (torch.full((size, width), IGNORED) for _ in range(2))
        for row, encoded in enumerate(chosen):
            start, end = len(encoded.prompt), len(encoded.prompt) + len(encoded.answer)
            ids[row, :end] = torch.tensor(encoded.prompt + encoded.answer)
            answers[row, start:end] = torch.tensor(encoded.answer)
            prompts[row, 1:start] = torch.tensor(encoded.prompt[1:])
        yield ids, answers, prompts


def exact_matches(model: Any, samples: list[Encoded]) -> int:
    """Count the answers that greedy decoding gives exactly: those whose every token is the likeliest one."""
    model.eval()
    right = 0
    with torch.no_grad():
        for sample in samples:
            likeliest = model(torch.tensor([sample.prompt + sample.answer])).logits[0].argmax(-1)
            start = len(sample.prompt) - 1
            right += likeliest[start : start + len(sample.answer)].tolist() == sample.answer
    model.train()
    return right


def train(out: Path, *, size: Size, vocabulary: int, schedule: Schedule, save_at: set[int]) -> int:
    """Train and save a model; return the number of exact matches on the held-out questions."""
    torch.manual_seed(WEIGHTS_SEED)
    tokenizer = build_tokenizer(vocabulary)
    model = Qwen2ForCausalLM(size.config(tokenizer))
    questions = held_out()
    test = [encode(tokenizer, sample) for sample in questions]
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.rate, weight_decay=0.01, betas=(0.9, 0.98))
    source = batches(tokenizer, size=schedule.batch, excluded={sample.question for sample in questions})
    began = time.monotonic()
    for step in range(1, schedule.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        loss = _step(model, optimizer, *next(source))
        if step in save_at:
            save(model, tokenizer, out.with_name(f"{out.name}-step{step}"))
        if step % 100 == 0 or step in save_at:
            right = exact_matches(model, test[:100])
            print(f"step {step}: loss {loss:.4f}, {right}/100, {time.monotonic() - began:.0f} s", flush=True)
    save(model, tokenizer, out)
    return exact_matches(model, test)


def _step(model: Any, optimizer: Any, ids: Any, answers: Any, prompts: Any) -> float:
    """Take one step and return the answers' loss; the prompts' loss counts a tenth."""
    logits = model(ids).logits[:, :-1].float()

    def loss_on(labels: Any) -> Any:
        flat = logits.reshape(-1, logits.size(-1))
        return torch.nn.functional.cross_entropy(flat, labels[:, 1:].reshape(-1), ignore_index=IGNORED)

    answer_loss = loss_on(answers)
    optimizer.zero_grad()
    (answer_loss + 0.1 * loss_on(prompts)).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(answer_loss.item())


def main() -> int:
    """Train one model."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.training.train_graded", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--save-at", default="", help="steps, separated by commas, at which OUT-stepN is saved")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, default=96, help=f"a multiple of {HEAD_WIDTH}")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=640)
    options = parser.parse_args()
    right = train(
        options.out,
        size=Size(options.hidden, 3 * options.hidden, options.layers),
        vocabulary=options.vocabulary,
        schedule=Schedule(options.steps, options.batch, options.rate),
        save_at={int(step) for step in options.save_at.split(",") if step},
    )
    print(f"exact matches on the held-out questions: {right}/{len(held_out())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
