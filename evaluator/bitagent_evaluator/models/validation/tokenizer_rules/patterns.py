r"""Regular expressions of tokenizers: which ones are allowed.

A pattern may find pieces of text by the kinds of their characters. It may not remember what it has read, look far
around, or spell words, because such a pattern could compare the parts of a prompt, or contain a table of questions.

Allowed are alternatives of sequences of character classes, escapes, literals, groups and quantifiers, with
- look-around of one character, at most four times,
- at most two letters or digits in a row that are given one by one, as in `'ll`,
- no unbounded quantifier on a group that contains another.

The dialect is Oniguruma's (https://github.com/kkos/oniguruma/blob/master/doc/RE), which `tokenizers` uses.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, replace

MAX_CHARACTERS = 8192
"""Maximum length. A class that lists the letters of all scripts has 2,500 characters."""
MAX_SPELLED = 2
"""Maximum number of given letters in a row: those of an English contraction."""
MAX_SPELLED_TOTAL = 96
"""Maximum number of given letters of a pattern: contractions in two cases, twice, take 64."""
MAX_LOOKAROUNDS = 4
MAX_DEPTH = 8
_NARROW = 8
"""A class of at most so many letters and digits gives them one by one: `[sdmt]`, but not `[0-9]`."""

KNOWN_PATTERNS = frozenset(
    {
        r"(?=(\d{3})+(?!\d))",
        r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))",
        r"\d{1,3}(?=(?:\d{3})*\b)",
    }
)
"""Patterns beyond the grammar: digits in groups of three, counted from the right."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_EDGE = r"[^\r\n\p{L}\p{N}]?"
COVERING_PATTERNS = frozenset(
    {
        rf"{_CONTRACTIONS}|{_EDGE}\p{{L}}+|\p{{N}}{{1,3}}{_TAIL}",
        rf"{_CONTRACTIONS}|{_EDGE}\p{{L}}+|\p{{N}}{_TAIL}",
        rf"{_EDGE}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_EDGE}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?|\p{{N}}{{1,3}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    }
)
"""Patterns that match every character of a text: what they do not match is nothing, and may be removed.

Those of tiktoken's encodings (cl100k_base, its variant with single digits, o200k_base, gpt2), which one converter
exports with `invert` and `Removed`.
"""

_ALPHANUMERIC = string.ascii_letters + string.digits
_WHITE = " \t\n\r\f\v\x85\xa0\u2581\u3000"
_SAMPLE = frozenset(string.printable + _WHITE)
"""Characters by which a class is judged; the rest of Unicode counts as OTHER."""
_OTHER = "\ufffc"
"""Represents all characters outside the sample."""
_SHORTHANDS: dict[str, frozenset[str]] = {
    "s": frozenset(_WHITE) - {"\u2581"},
    "d": frozenset(string.digits),
    "w": frozenset(_ALPHANUMERIC + "_" + _OTHER),
    "h": frozenset(string.hexdigits),
    "R": frozenset("\n\r\v\f\x85"),
}
_LETTERS = frozenset(string.ascii_letters)
_PROPERTY_SETS: dict[str, frozenset[str]] = {
    "L": _LETTERS | {_OTHER},
    "Lu": frozenset(string.ascii_uppercase + _OTHER),
    "Ll": frozenset(string.ascii_lowercase + _OTHER),
    "N": frozenset(string.digits + _OTHER),
    "Nd": frozenset(string.digits + _OTHER),
    "P": frozenset("!\"#%&'()*,-./:;?@[\\]_{}" + _OTHER),
    "S": frozenset("$+<=>^`|~" + _OTHER),
    "Z": frozenset(" \xa0\u3000" + _OTHER),
    "Zs": frozenset(" \xa0\u3000" + _OTHER),
    "Latin": _LETTERS | {_OTHER},
    "Cc": frozenset("\t\n\r\f\v\x85" + _OTHER),
}
_PROPERTY = re.compile(r"\\([pP])(?:\{(\^?)([A-Za-z_]{1,24})\}|([A-Z]))")
_CODE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,6})\})")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_REPEAT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_POSIX = re.compile(r"\[:\^?[a-z]{5,6}:\]")


class PatternError(Exception):
    """The pattern is not allowed; the message says why."""


@dataclass(frozen=True)
class _Part:
    """What a part of a pattern may match."""

    lead: int = 0
    """Largest number of given letters in a row at its start."""
    trail: int = 0
    """The same at its end."""
    wide: bool = False
    """Whether each of its alternatives matches some character that is not given."""
    white: bool = True
    """Whether all that it matches is white space."""
    empty: bool = True
    """Whether it may match nothing."""
    unbounded: bool = False


@dataclass
class _Parser:
    pattern: str
    at: int = 0
    ignore_case: bool = False
    lookarounds: int = 0
    spelled: int = 0
    depth: int = 0

    def parse(self) -> _Part:
        part = self.alternatives()
        if self.at != len(self.pattern):
            raise PatternError("a closing parenthesis without an opening one")
        return part

    def alternatives(self) -> _Part:
        parts = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.sequence())
        return _Part(
            lead=max(part.lead for part in parts),
            trail=max(part.trail for part in parts),
            wide=all(part.wide for part in parts),
            white=all(part.white for part in parts),
            empty=any(part.empty for part in parts),
            unbounded=any(part.unbounded for part in parts),
        )

    def sequence(self) -> _Part:
        parts: list[_Part] = []
        lead = run = 0
        wide = False
        while self.peek() not in ("", "|", ")"):
            part = self.quantified()
            if run + part.lead > MAX_SPELLED:
                raise PatternError(f"it gives {run + part.lead} letters or digits in a row")
            lead = lead if wide else run + part.lead
            separates = part.wide and not part.empty
            run = part.trail if separates else run + part.trail
            wide = wide or separates
            parts.append(part)
        return _Part(
            lead=lead,
            trail=run,
            wide=wide,
            white=all(part.white for part in parts),
            empty=all(part.empty for part in parts),
            unbounded=any(part.unbounded for part in parts),
        )

    def quantified(self) -> _Part:
        part = self.atom()
        least, bounded = self.quantifier()
        if least is None:
            return part
        if part.unbounded and not (bounded and least == 0):
            raise PatternError("a quantifier on a group with an unbounded quantifier")
        return replace(part, empty=part.empty or least == 0, unbounded=part.unbounded or not bounded)

    def quantifier(self) -> tuple[int | None, bool]:
        """Return the least number of repetitions, None without a quantifier, and whether it is at most one."""
        sign = self.peek()
        repeat = _REPEAT.match(self.pattern, self.at)
        if sign in ("*", "+", "?") and sign:
            self.at += 1
            least, bounded = int(sign == "+"), sign == "?"
        elif repeat:
            self.at = repeat.end()
            least = int(repeat[1])
            bounded = (repeat[3] if repeat[2] else repeat[1]) in ("0", "1")
        else:
            return None, True
        if self.peek() in ("+", "?"):  # possessive or lazy
            self.at += 1
        return least, bounded

    def atom(self) -> _Part:
        sign = self.peek()
        if sign == "(":
            return self.group()
        if sign in ("^", "$"):
            self.at += 1
            return _Part()
        if sign in ("*", "+", "?"):
            raise PatternError(f"a quantifier {sign} without anything before it")
        return self.character(self.characters())

    def character(self, matched: frozenset[str]) -> _Part:
        """Return the part of one character that is in `matched`."""
        given = {character.lower() if self.ignore_case else character for character in matched if character.isalnum()}
        ascii_given = {character for character in given if character.isascii()}
        narrow = 0 < len(ascii_given) <= _NARROW or (
            not ascii_given and 0 < len(given) <= _NARROW and _OTHER not in matched
        )
        self.spelled += narrow
        if self.spelled > MAX_SPELLED_TOTAL:
            raise PatternError(f"it gives more than {MAX_SPELLED_TOTAL} letters or digits")
        white = matched <= frozenset(_WHITE)
        return _Part(lead=int(narrow), trail=int(narrow), wide=not narrow, white=white, empty=False)

    def group(self) -> _Part:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise PatternError(f"groups are nested more than {MAX_DEPTH} times")
        rest = self.pattern[self.at + 1 :]
        before = self.ignore_case
        look = re.match(r"\?<?[=!]", rest)
        if look:
            self.at += 1 + look.end()
            part = self.lookaround()
        else:
            kind = re.match(r"\?i?:|\?-i:", rest)
            if rest.startswith("?") and not kind:
                raise PatternError(f"a group of the kind {rest[:4]!r}")
            if kind:
                self.ignore_case = kind[0] == "?i:" or (kind[0] == "?:" and before)
            self.at += 1 + (kind.end() if kind else 0)
            part = self.alternatives()
        if self.peek() != ")":
            raise PatternError("an opening parenthesis without a closing one")
        self.at += 1
        self.depth -= 1
        self.ignore_case = before
        return part

    def lookaround(self) -> _Part:
        """Return the part of a look-around, which matches one character or an end."""
        self.lookarounds += 1
        if self.lookarounds > MAX_LOOKAROUNDS:
            raise PatternError(f"more than {MAX_LOOKAROUNDS} look-arounds")
        spelled = 0
        while True:
            if self.peek() in ("^", "$"):
                self.at += 1
            elif self.peek() in ("", "(", ")", "|", "*", "+", "?"):
                raise PatternError("a look-around of more than one character")
            else:
                spelled = max(spelled, self.character(self.characters()).lead)
            if self.peek() != "|":
                break
            self.at += 1
        if self.peek() != ")":
            raise PatternError("a look-around of more than one character")
        return _Part(lead=spelled, trail=spelled)

    def characters(self) -> frozenset[str]:
        """Return which characters of the sample one character of the pattern matches."""
        sign = self.peek()
        if sign == "[":
            return self.fold(self.character_class())
        if sign == ".":
            self.at += 1
            return _SAMPLE | {_OTHER}
        if sign == "\\":
            return self.fold(self.escape(in_class=False))
        self.at += 1
        return self.fold(frozenset(sign))

    def fold(self, matched: frozenset[str]) -> frozenset[str]:
        if not self.ignore_case:
            return matched
        return matched | {character.swapcase() for character in matched if character in _LETTERS}

    def escape(self, *, in_class: bool) -> frozenset[str]:
        named = _PROPERTY.match(self.pattern, self.at)
        if named:
            self.at = named.end()
            negative = (named[1] == "P") != bool(named[2])
            found = _PROPERTY_SETS.get(named[3] or named[4], frozenset(_OTHER))
            return (_SAMPLE - found) | {_OTHER} if negative else found
        code = _CODE.match(self.pattern, self.at)
        if code:
            self.at = code.end()
            number = int(code[1] or code[2] or code[3], 16)
            if number > 0x10FFFF:
                raise PatternError(f"the escape {code[0]}")
            return frozenset(chr(number))
        sign = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if sign in _CONTROL:
            return frozenset(_CONTROL[sign])
        if sign.lower() in _SHORTHANDS and sign.lower() != "r":
            found = _SHORTHANDS[sign.lower()]
            return (_SAMPLE - found) | {_OTHER} if sign.isupper() else found
        if sign == "R" and not in_class:
            return _SHORTHANDS["R"]
        if not sign or sign.isalnum():
            raise PatternError(f"the escape \\{sign}")
        return frozenset(sign)

    def character_class(self) -> frozenset[str]:
        """Return what a class matches: members, ranges, nested classes and intersections."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise PatternError(f"classes are nested more than {MAX_DEPTH} times")
        self.at += 1
        negative = self.peek() == "^"
        self.at += negative
        result: frozenset[str] | None = None
        members: frozenset[str] = frozenset()
        first = True
        while first or self.peek() != "]":
            if self.peek() == "":
                raise PatternError("a class without an end")
            if self.pattern.startswith("&&", self.at):
                self.at += 2
                result = members if result is None else result & members
                members = frozenset()
            else:
                members |= self.class_member()
            first = False
        self.at += 1
        self.depth -= 1
        matched = members if result is None else result & members
        return (_SAMPLE - matched) | {_OTHER} if negative else matched

    def class_member(self) -> frozenset[str]:
        if self.peek() == "[":
            if _POSIX.match(self.pattern, self.at):
                raise PatternError("a class with a POSIX name")
            return self.character_class()
        start = self.class_character()
        if self.peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return start
        self.at += 1
        if self.peek() == "[":
            return start | {"-"} | self.class_member()
        end = self.class_character()
        if len(start) != 1 or len(end) != 1:
            return start | {"-"} | end
        (low,), (high,) = start, end
        inside = frozenset(character for character in _SAMPLE if low <= character <= high)
        return inside | ({low, high, _OTHER} if ord(high) - ord(low) >= _NARROW and high > "\x7f" else {low, high})

    def class_character(self) -> frozenset[str]:
        if self.peek() == "\\":
            return self.escape(in_class=True)
        sign = self.peek()
        self.at += 1
        return frozenset(sign)

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]


def check_pattern(pattern: str) -> None:
    """Raise PatternError for a pattern that is not allowed."""
    if pattern not in KNOWN_PATTERNS:
        _parse(pattern)


def matches_white_space_only(pattern: str) -> bool:
    """Return whether every match of a pattern is white space, at least one character. Raises PatternError."""
    part, lookarounds = _parse(pattern)
    return part.white and not part.empty and not lookarounds


def _parse(pattern: str) -> tuple[_Part, int]:
    """Return the pattern as one part, and its number of look-arounds."""
    if not 0 < len(pattern) <= MAX_CHARACTERS:
        raise PatternError(f"it has {len(pattern)} characters, allowed {MAX_CHARACTERS}")
    parser = _Parser(pattern)
    return parser.parse(), parser.lookarounds


def is_white_space(text: str) -> bool:
    """Return whether a text is white space, or the sign that SentencePiece writes for a blank; False for none."""
    return bool(text) and all(character.isspace() or character == "\u2581" for character in text)
