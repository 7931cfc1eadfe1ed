"""Normalizer, pre-tokenizer, post-processor and decoder: which types, members and values are allowed.

Allowed are those of the supported families and of what `transformers` exports for them: byte-level BPE (GPT-2, Llama 3,
Qwen, Tekken, tiktoken conversions), SentencePiece conversions (Llama 2, Mistral, Gemma, Unigram), and their variants.
A component that no such tokenizer has is refused, whatever it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import TOKENIZER, quote
from bitagent_evaluator.models.validation.tokenizer_rules.charsmap import (
    CharsmapError,
    check_charsmap,
    lowers_case,
)
from bitagent_evaluator.models.validation.tokenizer_rules.patterns import (
    COVERING_PATTERNS,
    PatternError,
    check_pattern,
    is_white_space,
    matches_white_space_only,
)
from bitagent_evaluator.sandbox.protocol import Refused

MAX_PARTS = 16
"""Maximum number of components of one kind, those in sequences counted one by one."""
MAX_AFFIX = 4
"""Maximum number of special tokens that a post-processor puts before or after a text."""
MAX_SEPARATOR = 4
"""Maximum length of a text at which a pre-tokenizer splits."""
BLANK = "\u2581"
"""SentencePiece's sign for a blank."""
_BEGINNING = r"(?<!\n)^"
"""Pattern of a place, as some conversions of SentencePiece put a blank before a text."""


@dataclass(frozen=True)
class TextForm:
    """The changes of a text's form that a normalizer declares."""

    compatibility: bool = False
    """Whether compatibility characters are replaced: NFKC, NFKD or a table of SentencePiece."""
    without_accents: bool = False
    lower_case: bool = False


Component = Mapping[str, Any]
Rule = Callable[[Component], str | None]
"""Return why a component is refused; None if it is allowed."""


def check_components(tokenizer: Mapping[str, Any]) -> None:
    """Refuse components that are not on the list (BadTokenizer)."""
    parts = parts_of(tokenizer, "normalizer")
    _check_kind("normalizer", parts, _NORMALIZERS)
    _only_once("normalizer", parts, "Prepend", "Precompiled")
    parts = parts_of(tokenizer, "pre_tokenizer")
    _check_kind("pre_tokenizer", parts, _PRE_TOKENIZERS)
    _only_once("pre_tokenizer", parts, "ByteLevel", "Metaspace")
    parts = parts_of(tokenizer, "post_processor")
    _check_kind("post_processor", parts, _POST_PROCESSORS)
    _only_once("post_processor", parts, "TemplateProcessing")
    _check_decoders(parts_of(tokenizer, "decoder"))


def _refusal(kind: str, why: str) -> Refused:
    """Return the refusal of a component, or of a list of them."""
    return Refused(Reason.BAD_TOKENIZER, f"{TOKENIZER}: {kind}: {why}")


_MEMBERS = {
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}
"""Member of a Sequence that has its components, by their kind."""


def parts_of(tokenizer: Mapping[str, Any], kind: str) -> list[Component]:
    """Return the components of one kind in order, those in sequences one by one. Refuses malformed ones."""
    parts: list[Component] = []
    for part in _leaves(tokenizer.get(kind), kind, depth=0):
        parts.append(part)
        if len(parts) > MAX_PARTS:
            raise _refusal(kind, f"more than {MAX_PARTS} parts")
    return parts


def _leaves(value: object, kind: str, *, depth: int) -> Iterator[Component]:
    if value is None and not depth:
        return
    if not isinstance(value, dict) or depth > 4:
        raise _refusal(kind, f"{quote(value)} is not a component")
        return
    if value.get("type") != "Sequence":
        yield value
        return
    members = _MEMBERS[kind]
    parts = value.get(members)
    if not isinstance(parts, list) or set(value) != {"type", members}:
        raise _refusal(kind, f"a Sequence without its list of {members}")
        return
    for part in parts:
        yield from _leaves(part, kind, depth=depth + 1)


def _check_kind(kind: str, parts: list[Component], rules: Mapping[str, tuple[frozenset[str], Rule]]) -> None:
    for part in parts:
        name = part.get("type")
        if not isinstance(name, str) or name not in rules:
            raise _refusal(kind, f"{quote(name)} is not allowed; allowed are {', '.join(sorted(rules))}")
            return
        members, rule = rules[name]
        unknown = set(part) - members - {"type"}
        if unknown:
            raise _refusal(kind, f"{name} has the unknown member {quote(sorted(unknown)[0])}")
        why = rule(part)
        if why is not None:
            raise _refusal(kind, f"{name}: {why}")


def _only_once(kind: str, parts: list[Component], *names: str) -> None:
    for name in names:
        if sum(part["type"] == name for part in parts) > 1:
            raise _refusal(kind, f"{name} more than once")


def _anything(part: Component) -> str | None:
    del part
    return None


def _pattern_of(part: Component) -> tuple[str, str] | None:
    """Return kind and text of a pattern, `String` or `Regex`; None for a malformed one."""
    pattern = part.get("pattern")
    if not isinstance(pattern, dict) or len(pattern) != 1:
        return None
    ((kind, text),) = pattern.items()
    return (kind, text) if kind in ("String", "Regex") and isinstance(text, str) else None


# Normalizers


def _replaces_white_space(part: Component) -> str | None:
    pattern, content = _pattern_of(part), part.get("content")
    if pattern is None or not isinstance(content, str):
        return "it has no pattern or content"
    if not (len(content) == 1 and is_white_space(content)):
        return f"it writes {quote(content)}; it may write one blank only"
    kind, text = pattern
    if kind == "Regex" and text == _BEGINNING:
        return None
    try:
        blanks = matches_white_space_only(text) if kind == "Regex" else is_white_space(text)
    except PatternError as error:
        return f"{quote(text)}: {error}"
    return None if blanks else f"it replaces {quote(text)}; it may replace white space only"


def _prepends_blank(part: Component) -> str | None:
    return None if part.get("prepend") in (BLANK, " ") else f"{quote(part.get('prepend'))} is not a single blank"


def _table(part: Component) -> str | None:
    encoded = part.get("precompiled_charsmap")
    if encoded is None:
        return None
    if not isinstance(encoded, str):
        return "the table is not text"
    try:
        check_charsmap(encoded)
    except CharsmapError as error:
        return str(error)
    return None


_NORMALIZERS: Mapping[str, tuple[frozenset[str], Rule]] = {
    **{name: (frozenset(), _anything) for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")},
    "Strip": (frozenset({"strip_left", "strip_right"}), _anything),
    "Prepend": (frozenset({"prepend"}), _prepends_blank),
    "Replace": (frozenset({"pattern", "content"}), _replaces_white_space),
    "Precompiled": (frozenset({"precompiled_charsmap"}), _table),
}


def declared_form(normalizer: object) -> TextForm:
    """Return what a normalizer declares, which `check_components` has checked; None stands for no normalizer."""
    form = TextForm()
    for part in parts_of({"normalizer": normalizer}, "normalizer"):
        name, table = part["type"], part.get("precompiled_charsmap")
        if name in ("NFKC", "NFKD"):
            form = replace(form, compatibility=True)
        elif name == "StripAccents":
            form = replace(form, without_accents=True)
        elif name == "Lowercase":
            form = replace(form, lower_case=True)
        elif name == "Precompiled" and table:
            form = replace(form, compatibility=True, lower_case=form.lower_case or lowers_case(table))
    return form


# Pre-tokenizers

_BEHAVIOURS = frozenset({"Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"})


def _splits(part: Component) -> str | None:
    pattern, behaviour, invert = _pattern_of(part), part.get("behavior"), part.get("invert", False)
    if pattern is None:
        return "it has no pattern"
    kind, text = pattern
    if kind == "String" and not (0 < len(text) <= MAX_SEPARATOR and not any(map(str.isalnum, text))):
        return f"it splits at {quote(text)}; a text has at most {MAX_SEPARATOR} signs and no letter"
    try:
        if kind == "Regex":
            check_pattern(text)
        if behaviour == "Removed":
            return _removes(kind, text, invert=invert)
    except PatternError as error:
        return f"{quote(text)}: {error}"
    return None if behaviour in _BEHAVIOURS else f"the behaviour {quote(behaviour)}"


def _removes(kind: str, text: str, *, invert: object) -> str | None:
    """Return why a pre-tokenizer that removes text is refused."""
    if invert is True:
        return None if kind == "Regex" and text in COVERING_PATTERNS else "it removes what a pattern does not match"
    blanks = matches_white_space_only(text) if kind == "Regex" else is_white_space(text)
    return None if blanks else f"it removes {quote(text)}; it may remove white space only"


def _metaspace(part: Component) -> str | None:
    if part.get("replacement", BLANK) != BLANK or part.get("str_rep", BLANK) != BLANK:
        return f"it writes blanks as {quote(part.get('replacement'))}, not as {BLANK}"
    scheme = part.get("prepend_scheme", "always")
    return None if scheme in ("always", "first", "never") else f"the scheme {quote(scheme)}"


def _punctuation(part: Component) -> str | None:
    behaviour = part.get("behavior", "Isolated")
    return None if behaviour in _BEHAVIOURS else f"the behaviour {quote(behaviour)}"


_BYTE_LEVEL = (frozenset({"add_prefix_space", "trim_offsets", "use_regex"}), _anything)
_METASPACE = (frozenset({"replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"}), _metaspace)

_PRE_TOKENIZERS: Mapping[str, tuple[frozenset[str], Rule]] = {
    "ByteLevel": _BYTE_LEVEL,
    "Metaspace": _METASPACE,
    "Split": (frozenset({"pattern", "behavior", "invert"}), _splits),
    "Digits": (frozenset({"individual_digits"}), _anything),
    "Punctuation": (frozenset({"behavior"}), _punctuation),
    "WhitespaceSplit": (frozenset(), _anything),
}

# Post-processors


def _affixes(part: Component) -> str | None:
    single, pair, special = part.get("single"), part.get("pair"), part.get("special_tokens")
    if not isinstance(special, dict) or not isinstance(pair, list) or len(pair) > 4 * MAX_AFFIX:
        return "it is malformed"
    for name, entry in special.items():
        ids, tokens = (entry.get("ids"), entry.get("tokens")) if isinstance(entry, dict) else (None, None)
        if not isinstance(ids, list) or len(ids) != 1 or tokens != [name]:
            return f"the special token {quote(name)} is more than one token"
    if not set(_special_names(single)) <= set(special):
        return "it names a special token that it does not define"
    counts = affix_counts(part)
    if counts is None or max(counts) > MAX_AFFIX:
        return f"{quote(single)}: a text stands once, with at most {MAX_AFFIX} special tokens before and after it"
    return None


def affix_tokens(part: Component) -> Iterator[tuple[str, int]]:
    """Yield name and id of each special token that a checked TemplateProcessing writes."""
    for name in _special_names(part["single"]):
        yield name, part["special_tokens"][name]["ids"][0]


def _special_names(single: object) -> Iterator[str]:
    for piece in single if isinstance(single, list) else []:
        if isinstance(piece, dict) and "SpecialToken" in piece:
            named = piece["SpecialToken"]
            yield str(named.get("id")) if isinstance(named, dict) else ""


def affix_counts(part: Component) -> tuple[int, int] | None:
    """Return how many special tokens a TemplateProcessing puts before and after a text; None if it is malformed."""
    single = part.get("single")
    pieces = single if isinstance(single, list) else []
    kinds = [next(iter(piece)) if isinstance(piece, dict) and len(piece) == 1 else "" for piece in pieces]
    if kinds.count("Sequence") != 1 or set(kinds) - {"Sequence", "SpecialToken"}:
        return None
    at = kinds.index("Sequence")
    return at, len(kinds) - at - 1


_POST_PROCESSORS: Mapping[str, tuple[frozenset[str], Rule]] = {
    "ByteLevel": _BYTE_LEVEL,
    "TemplateProcessing": (frozenset({"single", "pair", "special_tokens"}), _affixes),
}

# Decoders


def _writes_blanks(part: Component) -> str | None:
    pair = (_pattern_of(part), part.get("content"))
    return None if pair == (("String", BLANK), " ") else f"it rewrites answers; it may replace {BLANK} by a blank only"


def _strips_first_blank(part: Component) -> str | None:
    content, start, stop = part.get("content"), part.get("start"), part.get("stop")
    sound = content == " " and type(start) is int and 0 <= start <= 1 and type(stop) is int and stop == 0
    return None if sound else "it may remove one blank at the start only"


_DECODERS: Mapping[str, tuple[frozenset[str], Rule]] = {
    "ByteLevel": _BYTE_LEVEL,
    "Metaspace": _METASPACE,
    "Replace": (frozenset({"pattern", "content"}), _writes_blanks),
    "ByteFallback": (frozenset(), _anything),
    "Fuse": (frozenset(), _anything),
    "Strip": (frozenset({"content", "start", "stop"}), _strips_first_blank),
}


def _check_decoders(parts: list[Component]) -> None:
    """Refuse decoders by which an answer is more than the texts of its tokens, one after the other."""
    _check_kind("decoder", parts, _DECODERS)
    names = [part["type"] for part in parts]
    if not names:
        raise _refusal("decoder", f"none; allowed are {', '.join(sorted(_DECODERS))}")
    for name in set(names):
        _only_once("decoder", parts, name)
    if "Strip" in names and "Fuse" not in names[: names.index("Strip")]:
        raise _refusal("decoder", "Strip has to come after Fuse, or it removes the blanks of all tokens")
    if "ByteLevel" in names and len(names) > 1:
        raise _refusal("decoder", "ByteLevel stands alone")
