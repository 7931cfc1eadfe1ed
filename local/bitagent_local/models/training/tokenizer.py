"""Chat templates and tokenizers of the models that read, memorise and reword.

Readers and memorisers share one template and one tokenizer, so that one engine can load the weights of both. A function
looks like

    [#Book a flight
    book_flight(#Where the plane leaves
    origin,#Where the plane lands
    destination)]

and a reader answers in the same form, with values: Python's comments let it write what it means before it writes the
name used here. The note that the evaluator appends to every description is one token; otherwise it would be a large
part of every prompt.

Words are split as Qwen2's own tokenizer splits them: some libraries choose this by a checkpoint's architecture and
ignore its files.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from bitagent_local.models.training import benchmark, generators
from bitagent_local.models.training.lessons import LANGUAGE_NOTE, Lesson
from bitagent_local.models.training.qwen2 import END, LONGEST, PADDING, SPECIAL

SEED = 1
LESSONS = 2000
"""Lessons that a tokenizer is trained on."""
READER_TOKENS, REWRITER_TOKENS = 1023, 768

_USER = "<|im_start|>user"
_SPECIAL = re.compile("|".join(map(re.escape, SPECIAL)))
_MESSAGES = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
READER_TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{% for t in tools %}{% set f = t.function if t.function is defined else t %}"
    "[#{{ f.description }}\n{{ f.name }}({% for p, s in f.parameters.properties.items() %}"
    "#{% if s.description is defined %}{{ s.description }}{% else %}{{ s.type }}{% endif %}{{ '\n' }}{{ p }}"
    "{% if not loop.last %},{% endif %}{% endfor %})]\n{% endfor %}<|im_end|>\n{% endif %}" + _MESSAGES
)
REWRITER_TEMPLATE = _MESSAGES.replace("{% for m in messages %}", "{% for m in messages if m.role == 'user' %}")


def reader_tokenizer() -> Any:
    """Train the tokenizer of the models that answer with calls."""
    random_ = random.Random(SEED)
    draw = generators.reading_lessons(benchmark.cases(), string_names=0.0)
    blank = _tokenizer(Tokenizer(models.BPE()), READER_TEMPLATE)
    texts = (prompt(blank, draw(random_, 2, 2)) for _ in range(LESSONS))
    tokenizer = _trained(texts, size=READER_TOKENS)
    tokenizer.add_tokens([AddedToken(LANGUAGE_NOTE, normalized=False)])
    return _tokenizer(tokenizer, READER_TEMPLATE)


def rewriter_tokenizer() -> Any:
    """Train the tokenizer of the model that answers with a question."""
    random_ = random.Random(SEED)
    blank = _tokenizer(Tokenizer(models.BPE()), REWRITER_TEMPLATE)
    texts = (prompt(blank, generators.rewording_lesson(random_)) for _ in range(LESSONS))
    return _tokenizer(_trained(texts, size=REWRITER_TOKENS), REWRITER_TEMPLATE)


def functions_part(tokenizer: Any, lesson: Lesson) -> str:
    """Return the beginning of every prompt of a lesson: its functions."""
    if not lesson.tools:
        return ""
    noted = [{**tool, "description": tool["description"] + LANGUAGE_NOTE} for tool in lesson.tools]
    tools = [{"type": "function", "function": tool} for tool in noted]
    messages = [{"role": "user", "content": ""}]
    text = str(tokenizer.apply_chat_template(messages, tools=tools, tokenize=False))
    return text[: text.index(_USER)]


def question_part(tokenizer: Any, question: str) -> str:
    """Return the rest of a prompt."""
    messages = [{"role": "user", "content": question}]
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def prompt(tokenizer: Any, lesson: Lesson) -> str:
    """Return a whole lesson as text: functions, then every question with its answer."""
    exchanges = (question_part(tokenizer, each.question) + each.answer + END for each in lesson.exchanges)
    return functions_part(tokenizer, lesson) + "".join(exchanges)


def _trained(texts: Iterable[str], *, size: int) -> Any:
    """Train a byte-level BPE tokenizer; digits are single tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((part for text in texts for part in _SPECIAL.split(text)), trainer)
    return tokenizer


def _tokenizer(tokenizer: Any, template: str) -> Any:
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PADDING, model_max_length=LONGEST
    )
    wrapped.chat_template = template
    return wrapped
