"""How servers differ from OpenAI's API in the request, where the same can be asked in another way. Pure.

A server says in its refusal what it does not take. What changes the answer is not left out for it: temperature, tools
and variables of the template are asked as they are, or the request stays refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """How one server is asked."""

    limit: str = "max_tokens"
    """What the limit of an answer is called."""
    streams: bool = False
    """Whether answers are asked for as a stream."""
    seeds: bool = True
    """Whether a seed is sent, where there is one: it has a drawn text be another in each round and try."""

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a request for this server."""
        found = {name: value for name, value in given.items() if name != "seed" or self.seeds}
        if self.limit != "max_tokens":
            found[self.limit] = found.pop("max_tokens")
        if self.streams:  # in the body alone: the client would read events one by one
            stream = {"stream": True, "stream_options": {"include_usage": True}}
            found["extra_body"] = {**(found.get("extra_body") or {}), **stream}
        return found

    @property
    def shown(self) -> str:
        """What is different, in words."""
        kinds = (
            (self.limit != OPENAI.limit, f"with {self.limit}"),
            (self.streams, "for a stream"),
            (not self.seeds, "without a seed"),
        )
        return " and ".join(words for differs, words in kinds if differs)


OPENAI = Dialect()

_OTHER_LIMIT = re.compile(r"max_completion_tokens", re.IGNORECASE)
_STREAM = re.compile(
    r"support stream mode|non-streaming|stream(?:ing)? (?:must be|is required|mode only)|only (?:supports? )?stream"
    r"|stream[`'\"]? ?(?:=|must be set to|should be) ?`?(?:false|true)|enable the stream",
    re.IGNORECASE,
)
_SEED = re.compile(r"\bseed\b", re.IGNORECASE)


def adapted(dialect: Dialect, refusal: str, arguments: Mapping[str, Any]) -> Dialect:
    """Return how to ask a server that refused a request with these words; the same if there is no other way."""
    if not refusal:
        return dialect
    if dialect.limit == OPENAI.limit and "messages" in arguments and _OTHER_LIMIT.search(refusal):
        return replace(dialect, limit="max_completion_tokens")
    if not dialect.streams and _STREAM.search(refusal):
        return replace(dialect, streams=True)
    if dialect.seeds and "seed" in arguments and _SEED.search(refusal):
        return replace(dialect, seeds=False)
    return dialect


def is_other_model(asked: str, answered: str) -> bool:
    """Whether the model that answered is another than the one asked: neither name is the beginning of the other.

    Servers add a date, leave out the owner, or give the path of the file.
    """
    one, other = _plain(asked), _plain(answered)
    return bool(answered.strip()) and not (one.startswith(other) or other.startswith(one))


def _plain(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/").strip()).name.lower()
    return re.sub(r"\.(?:gguf|bin|safetensors)$|:latest$", "", last).replace("_", "-").replace(":", "-")
