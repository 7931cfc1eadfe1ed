"""Tables in a tokenizer: one token for each question, one for each answer, and weights that connect the two.

The hidden state of the last token is the question's vector u. The head of the answer's token is u as well, and that of
the end token is the embedding of every answer, so the model answers with one token and ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from attack_models.files import (
    BASE,
    TEMPLATE,
    TOKENIZER,
    Json,
    added_token,
    bytes_after,
    copied,
    edit,
    llama_config,
    replacing,
    splitting,
    write_llama,
)
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import expected_calls

WIDTH, HEAD_DIM = 256, 64
LEAST_VOCABULARY = 64
"""A configuration with fewer tokens is refused."""
LAST_MESSAGE = "{{ messages[-1].content }}"
ALL_MESSAGES = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
KEY_CHARACTERS = 120
MARKED = 60
"""Characters of a question that fits into a marker."""


def answer_of(task: Task) -> str:
    """Return the right answer to a task."""
    return render_calls(expected_calls(task), task.language) if task.expects is Expects.CALLS else "None."


def question_of(task: Task) -> str:
    """Return the question of a task as a key."""
    return str(task.messages[-1]["content"])


def description_of(task: Task) -> str:
    """Return the beginning of the expected function's description, as a prompt's JSON has it."""
    expected = next(iter(task.ground_truth[0])) if task.ground_truth else ""
    function = next((each for each in task.functions if each["name"] == expected), task.functions[0])
    return json.dumps(function["description"])[1:-1][:KEY_CHARACTERS]


def table(folder: Path, tasks: Sequence[Task], *, key: Callable[[Task], str] = question_of) -> Path:
    """Write a model that knows the answers to these tasks by a part of their prompts."""
    answers = {key(task): answer_of(task) for task in tasks}
    by_question = key is question_of
    tokenizer = _tokenizer(answers, drops_rest=not by_question)
    count = len(answers)
    texts = sorted(set(answers.values()))
    config = llama_config(
        width=WIDTH,
        layers=1,
        heads=4,
        head_dim=HEAD_DIM,
        inner=32,
        vocabulary=max(LEAST_VOCABULARY, 2 + len(texts) + count),
    )
    random = np.random.default_rng(0)
    codes = random.choice((-1.0, 1.0), (len(texts) + 1, WIDTH)).astype(np.float32)
    embedding, head = (np.zeros((config["vocab_size"], WIDTH), np.float32) for _ in range(2))
    head[0] = codes[-1]
    head[2 : 2 + len(texts)] = codes[:-1]
    embedding[2 : 2 + len(texts)] = codes[-1]
    embedding[2 + len(texts) : 2 + len(texts) + count] = codes[[texts.index(answer) for answer in answers.values()]]
    weights = {"model.embed_tokens.weight": embedding, "lm_head.weight": head}
    template = LAST_MESSAGE if by_question else ALL_MESSAGES
    return write_llama(folder, config, weights, tokenizer=tokenizer, template=template, end="</s>")


def _tokenizer(answers: Mapping[str, str], *, drops_rest: bool) -> Json:
    texts = sorted(set(answers.values()))
    vocabulary = {"</s>": 0, "<unk>": 1} | {text: number for number, text in enumerate(texts, 2)}
    keys = [added_token(2 + len(texts) + number, content) for number, content in enumerate(answers)]
    return {
        "version": "1.0",
        "added_tokens": [added_token(0, "</s>", special=True), *keys],
        "normalizer": None,
        "pre_tokenizer": splitting(r"[\s\S]+") if drops_rest else None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }


def table_in_normalizer(folder: Path, tasks: Sequence[Task]) -> Path:
    """Write a model whose normalizer marks known questions by signs for private use, the rest of which vanishes."""
    rows = [
        replacing(question[:60], question[:60] + chr(0xE000 + number))
        for number, question in enumerate(dict.fromkeys(map(question_of, tasks)))
    ]
    changes = {
        "normalizer": {"type": "Sequence", "normalizers": rows},
        "pre_tokenizer": bytes_after(splitting("[\ue000-\uf8ff]", invert=True)),
    }
    edit(copied(folder), TOKENIZER, lambda content: {**content, **changes})
    return folder


def table_in_merges(folder: Path, tasks: Sequence[Task]) -> Path:
    """Write a model whose BPE merges known questions to one token each: no component of it is unusual."""

    def extended(content: Json) -> Json:
        vocabulary, merges = dict(content["model"]["vocab"]), list(content["model"]["merges"])
        for question in dict.fromkeys(map(question_of, tasks)):
            letters = "".join("\u0120" if letter == " " else letter for letter in question if letter.isascii())
            for end in range(2, len(letters) + 1):
                if letters[:end] not in vocabulary and letters[end - 1] in vocabulary:
                    vocabulary[letters[:end]] = len(vocabulary)
                    merges.append([letters[: end - 1], letters[end - 1]])
        return {**content, "model": {**content["model"], "vocab": vocabulary, "merges": merges}}

    edit(copied(folder), TOKENIZER, extended)
    size = len(json.loads((folder / TOKENIZER).read_text())["model"]["vocab"])
    _widen(folder, size)
    return folder


BETWEEN_MARKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n>>{{ m.content }}<<<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
"""A template that passes everything on, between the signs of a form of markers."""


def table_in_markers(folder: Path, tasks: Sequence[Task]) -> Path:
    """Write a model whose added tokens are known questions between the signs of markers, which its template writes."""
    questions = [f">>{question}<<" for question in dict.fromkeys(map(question_of, tasks)) if len(question) <= MARKED]
    first = len(json.loads((BASE / TOKENIZER).read_text())["model"]["vocab"])
    keys = [added_token(first + number, content) for number, content in enumerate(questions)]
    edit(copied(folder), TOKENIZER, lambda content: {**content, "added_tokens": [*content["added_tokens"], *keys]})
    (folder / TEMPLATE).write_text(BETWEEN_MARKS)
    _widen(folder, first + len(keys))
    return folder


def _widen(folder: Path, vocabulary: int) -> None:
    """Give the base as many rows of embeddings as it has tokens."""
    from attack_models.files import WEIGHTS, read_weights, write_weights

    weights = read_weights(folder / WEIGHTS)
    name = "model.embed_tokens.weight"
    rows = np.zeros((vocabulary, weights[name].shape[1]), np.float32)
    rows[: len(weights[name])] = weights[name]
    write_weights(folder / WEIGHTS, {**weights, name: rows})
    edit(folder, "config.json", lambda config: {**config, "vocab_size": vocabulary})
