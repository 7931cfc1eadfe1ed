"""A task's prompt as token ids. No program shows them, so only this module imports the code that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer


def token_ids(model: Path, names: Sequence[str], tasks: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the prompts in each format, by a model's template and tokenizer; the message for a refused one."""
    found: dict[str, list[Any]] = {}
    checked = [Task.model_validate(task) for task in tasks]
    with SandboxedTokenizer(model) as tokenizer:
        tokenizer.load()
        for name in names:
            encoded = tokenizer.encode_prompts([prompt_format(name).build_prompt(task) for task in checked])
            found[name] = [ids if isinstance(ids, list) else {"refused": ids.message} for ids in encoded]
    return found
