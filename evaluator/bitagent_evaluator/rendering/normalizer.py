"""Does a tokenizer read the words that it is given? Its normalizer may rewrite text before it is cut into tokens, by a table of any size.

Honest ones change the form of characters: Unicode normalization, case, accents, blanks and the signs that stand for them. What they leave
in order are the letters and digits of ASCII; a question turned into its answer is not.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_OTHER = re.compile(r"[^a-z0-9]+")


def keeps_words(normalizer: Any, text: str) -> bool:
    """Whether the normalizer of a tokenizer (None: it has none) leaves the words of a text as they are."""
    if normalizer is None:
        return True
    normal: str = normalizer.normalize_str(text)
    return normal == text or _plain(normal) == _plain(text) or _decomposed(normal) == _decomposed(text)


def _plain(text: str) -> str:
    return _OTHER.sub("", text.lower())


def _decomposed(text: str) -> str:
    """With accents and wide forms counted as the letters below them."""
    return _plain(unicodedata.normalize("NFKD", text))
