"""Files that look like a part of a model, and that nothing reads: what a person should know before a round does.

An engine would not find them either, or would find something else in them than the files that are read. None of them is
a reason to refuse the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import PurePosixPath

from bitagent_evaluator.models.validation.files import TEMPLATE, quote, small_file_bytes

_TEMPLATE = re.compile(
    r"(?:.*template.*\.(?:jinja|jinja2|j2|json|txt|yaml|yml)|.*\.(?:jinja|jinja2|j2))", re.IGNORECASE
)
_ADAPTER = re.compile(r"(?:.*/)?adapter_model\.(?:safetensors|bin)")
_QUANTISED_BY = "hf_quant_config.json"
_PROCESSORS = ("processor_config.json", "preprocessor_config.json")


def unread_notes(names: Collection[str], *, has_template: bool, is_quantized: bool) -> list[str]:
    """Return a note on each kind of file among `names` that a person may expect to be read.

    `has_template` says whether a chat template was found, `is_quantized` whether settings of a quantisation were.
    """
    notes = []
    if found := _first(names, lambda name: _is_unread_template(name, names)):
        notes.append(f"{quote(found)} is not read: name the chat template {TEMPLATE}, at the top of the repository")
    if found := _first(names, lambda name: _ADAPTER.fullmatch(name) is not None):
        notes.append(
            f"{quote(found)} is not used, only model*.safetensors are: if the adapter belongs to the model, merge it "
            "(PeftModel.merge_and_unload()), and save the merged model"
        )
    if found := _first(names, lambda name: name in _PROCESSORS and not has_template):
        notes.append(f"{quote(found)} is not read: if it has the chat template, save that as {TEMPLATE}")
    if _QUANTISED_BY in names and not is_quantized:
        notes.append(
            f"{_QUANTISED_BY} is not read, so that the weights count as plain: put its settings into config.json, as "
            "quantization_config, or remove it"
        )
    return notes


def _is_unread_template(name: str, names: Collection[str]) -> bool:
    """Whether a file looks like a chat template and is not read; a copy in a folder of the trainer does not count."""
    base = PurePosixPath(name).name
    is_copy = base != name and base in names
    return small_file_bytes(name) is None and not is_copy and _TEMPLATE.fullmatch(base) is not None


def _first(names: Collection[str], fits: Callable[[str], bool]) -> str | None:
    return min((name for name in names if fits(name)), key=lambda name: (name.count("/"), name), default=None)
