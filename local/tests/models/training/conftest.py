"""Readers of questions and answers of the benchmark, and the modules that train."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_local.models.training import subjects


@pytest.fixture(scope="session")
def find() -> Callable[[str], tuple[str, dict[str, str]]]:
    """Function: subject and values of a question, from its wording."""

    def find_(question: str) -> tuple[str, dict[str, str]]:
        for subject in subjects.load():
            for wording in subject.questions:
                pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+)", re.escape(wording))
                if found := re.search(pattern, question):
                    return subject.name, found.groupdict()
        raise AssertionError(f"no subject asks {question!r}")

    return find_


@pytest.fixture(scope="session")
def read_call() -> Callable[[str], tuple[str, dict[str, Any]]]:
    """Function: name and arguments of an answer, as Python reads it."""

    def read(text: str) -> tuple[str, dict[str, Any]]:
        (call,) = ast.parse(text, mode="eval").body.elts  # type: ignore[attr-defined]
        return call.func.id, {each.arg: ast.literal_eval(each.value) for each in call.keywords}

    return read


@pytest.fixture(scope="session")
def training() -> Any:
    """The modules that need torch, by name, imported by the first test: every process collects all tests."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from bitagent_local.models.training import batches, qwen2, tokenizer, train_benchmark

    return SimpleNamespace(
        torch=torch, batches=batches, qwen2=qwen2, tokenizer=tokenizer, train_benchmark=train_benchmark
    )


@pytest.fixture(scope="session")
def reader_tokenizer(training: Any) -> Any:
    """The tokenizer of models that read."""
    return training.tokenizer.reader_tokenizer()
