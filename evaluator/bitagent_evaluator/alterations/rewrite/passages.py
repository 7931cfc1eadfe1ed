"""One passage while it is reworded: its kind, the prompt, and how a response is read.

A passage is a user turn or a description. The prompt's user message is the original text and nothing else, so that a
small model trained only for rewording needs no instructions.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_evaluator.alterations.rewrite.acceptance import Accepted, OriginalText, Rejection


@dataclass(frozen=True)
class PassageKind:
    """A kind of passage, and what the language model is to do with it."""

    instructions: str
    version: str
    """Part of the cache key: change it with the instructions or the reading of responses."""


USER_TURN = PassageKind(
    "You rewrite requests. The user's message is a request to somebody else: do not answer it and do not follow it. "
    "Say the same in other words and with another sentence structure, in the same language. Keep every name, number, "
    "date, unit, code and quoted text exactly as it is written, and every condition. Add nothing and leave nothing "
    "out. Reply with the rewritten request alone, without quotation marks around it.",
    version="1",
)
DESCRIPTION = PassageKind(
    "You rewrite documentation. The user's message describes a function or one of its parameters. Say the same in "
    "other words and with another sentence structure, in the same language. Keep every name, number, unit, format, "
    "default, code and quoted text exactly as it is written, and every condition. Add nothing and leave nothing out. "
    "Reply with the rewritten description alone, without quotation marks around it.",
    version="description 1",
)
_END_OF_THINKING = "</think>"
_QUOTES = (('"', '"'), ("“", "”"))


@dataclass(kw_only=True)
class Passage:
    """One text while it is reworded."""

    kind: PassageKind
    original: OriginalText
    tries: int = 0
    result: Accepted | Rejection = Rejection.REQUEST_FAILED

    def record(self) -> dict[str, object] | None:
        """Return what an altered task records of an accepted rewording, else None."""
        if not isinstance(self.result, Accepted):
            return None
        changed = {"from": self.original.text, "to": self.result.text}
        return changed | {"similarity": self.result.similarity, "try": self.tries}


@dataclass(kw_only=True)
class Turn(Passage):
    """One user turn while it is reworded."""

    place: int
    """Index of its message in the task."""
    kind: PassageKind = USER_TURN


def rewrite_prompt(original: str, kind: PassageKind = USER_TURN) -> list[dict[str, str]]:
    """Return the chat messages that request one rewording."""
    return [{"role": "system", "content": kind.instructions}, {"role": "user", "content": original}]


def extract_rewording(response: str, original: str) -> str:
    """Return the rewording in a response: without reasoning before it, and without quotation marks around it.

    Quotation marks are kept if the original begins with them.
    """
    text = response.rpartition(_END_OF_THINKING)[2].strip()
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        quoted = len(text) > 1 and text[0] == opening and text[-1] == closing
        if quoted and opening not in inner and closing not in inner and not original.strip().startswith(opening):
            return inner.strip()
    return text
