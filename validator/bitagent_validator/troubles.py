"""The parts of a pass fail apart: what one part raises is recorded, reported and tried again later.

A part is one competition's rounds, one mechanism's weights, the status, and so on. After a failure it rests for a
while, longer after each, and the others are carried out. No part may take longer than its time limit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bitagent_kube.errors import ApiError
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.metrics import Metrics
from bitagent_wire.redaction import redact

log = logging.getLogger(__name__)

PART_SECONDS = 120.0
"""Time limit of one part; the heart beats between parts."""
REST_SECONDS = (1.0, 60.0)
"""How long a part rests after its first failure, and at most."""


@dataclass
class _Trouble:
    text: str
    failures: int
    until: float


class Troubles:
    """What failed of the last passes, by part."""

    def __init__(self, metrics: Metrics, *, beat: Callable[[], None], ends: tuple[type[Exception], ...] = ()) -> None:
        self._metrics = metrics
        self._beat = beat
        self._ends = ends
        """Exceptions that end the process in any case."""
        self._parts: dict[str, _Trouble] = {}

    @property
    def text(self) -> str:
        """The failures as one sentence; empty if there are none."""
        return "; ".join(f"{part}: {trouble.text}" for part, trouble in sorted(self._parts.items()))

    def failed(self, part: str) -> bool:
        """Whether a part has failed when it was last carried out."""
        return part in self._parts

    def forget(self, parts: set[str]) -> None:
        """Drop all parts but these: the others are no longer asked for."""
        for part in self._parts.keys() - parts:
            del self._parts[part]

    def resting(self, part: str) -> bool:
        """Whether a part has failed a moment ago, and is not to be tried now."""
        trouble = self._parts.get(part)
        return trouble is not None and asyncio.get_running_loop().time() < trouble.until

    @asynccontextmanager
    async def contained(self, part: str, *, rest: bool = True) -> AsyncIterator[None]:
        """Carry out one part; record what it raises. `rest` says whether it rests after a failure.

        Raises ChainUnavailable, which every part would meet, and the exceptions that end the process.
        """
        self._beat()
        try:
            async with asyncio.timeout(PART_SECONDS):
                yield
        except self._ends:
            raise
        except ChainUnavailable as error:
            self._record(part, str(error), rest=False)
            raise
        except TimeoutError:
            self._record(part, f"not done in {PART_SECONDS:g} s", rest=rest)
        except ApiError as error:
            self._record(part, str(error), rest=rest)
        except Exception as error:
            text = redact(f"{type(error).__name__}: {error}")
            if part not in self._parts or self._parts[part].text != text:
                log.exception("%s failed", part)
            self._record(part, text, rest=rest)
        else:
            self._parts.pop(part, None)

    def _record(self, part: str, text: str, *, rest: bool) -> None:
        before = self._parts.get(part)
        failures = before.failures + 1 if before else 1
        if before is None or before.text != text:
            log.warning("%s: %s", part, text)
        first, longest = REST_SECONDS
        seconds = min(longest, first * 2 ** min(failures - 1, 10)) if rest else 0.0
        self._parts[part] = _Trouble(text, failures, asyncio.get_running_loop().time() + seconds)
        self._metrics.part_failures.labels(part.split(" ")[0]).inc()
