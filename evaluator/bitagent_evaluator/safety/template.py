"""Where a repository keeps its chat template. A file of its own wins over the tokenizer's configuration, as everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.safety.selection import TEMPLATE

_PREFERRED = ("tool_use", "default")
"""Of several named templates the one made for tools comes first."""


def template_source(small: Mapping[str, bytes], tokenizer_config: Mapping[str, Any]) -> str | None:
    """The template's source; None when the model ships none."""
    if TEMPLATE in small:
        return small[TEMPLATE].decode("utf-8", errors="replace")
    value = tokenizer_config.get("chat_template")
    if isinstance(value, list):
        named = {
            entry["name"]: entry.get("template")
            for entry in value
            if isinstance(entry, dict) and isinstance(entry.get("name"), str)
        }
        value = next((named[name] for name in _PREFERRED if isinstance(named.get(name), str)), None)
    return value if isinstance(value, str) else None


def template_digest(source: str | None) -> str | None:
    """SHA-256 of the template's text."""
    return None if source is None else "sha256:" + hashlib.sha256(source.encode("utf-8", errors="replace")).hexdigest()
