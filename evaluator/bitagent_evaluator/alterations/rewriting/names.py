"""What a rewording must not bring in: names of functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bitagent_evaluator.alterations.following import is_telling


def named(names: Iterable[str], text: str) -> set[str]:
    """The functions that a text names: those whose names no prose holds by chance (`get_user`, `kq3v9bxt`) wherever they stand alone, plain
    words (`search`) only when they are quoted or called.
    """
    return {name for name in names if re.search(_mention(name), text)}


def _mention(name: str) -> str:
    escaped = re.escape(name)
    if is_telling(name) or any(map(str.isdigit, name)):
        return rf"(?<![\w.]){escaped}(?!\w|\.\w)"
    return rf"(?<=['\"`]){escaped}(?=['\"`])|(?<![\w.]){escaped}\("
