"""The interface of line formats and their registry, and how a line is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from bitagent_evaluator.registry import Registry

LineModel = TypeVar("LineModel", bound=BaseModel)


class BadLine(ValueError):
    """A line cannot be judged; the message begins with its number."""


class PairFormat(Protocol):
    """Judges lines of one format. Made without arguments."""

    def judge(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """One result object per line that is not blank, in order. Raises BadLine."""
        ...


PAIR_FORMATS = Registry(
    what="line format",
    group="bitagent.pair_formats",
    builtin={
        "bfcl": "bitagent_evaluator.scoring.pairs.bfcl:BfclPairs",
        "bitagent": "bitagent_evaluator.scoring.pairs.bitagent:BitAgentPairs",
    },
)


def pair_format(name: str) -> PairFormat:
    """A line format by its registry name. Raises UnknownName."""
    made: PairFormat = PAIR_FORMATS.load(name)()
    return made


def read_lines(lines: Iterable[bytes], model: type[LineModel]) -> Iterator[tuple[int, LineModel]]:
    """Numbered lines that are not blank, read. Raises BadLine."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, read_line(number, line, model)


def read_line(number: int, line: bytes, model: type[LineModel]) -> LineModel:
    """One line, read. Raises BadLine."""
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise BadLine(f"line {number}: {where + ': ' if where else ''}{found['msg']}") from error
