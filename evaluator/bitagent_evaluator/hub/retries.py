"""Try again what often passes: with growing, jittered pauses, and not for ever."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from bitagent_crds.conditions import Reason
from bitagent_evaluator.hub.errors import FetchError, Transient

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")

ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0


def retried(action: Callable[[], _Value], what: str, *, progressed: Callable[[], bool] = lambda: False) -> _Value:
    """The action's value. After ATTEMPTS failures in a row without progress: FetchError with the last failure's reason."""
    failures = 0
    while True:
        try:
            return action()
        except Transient as error:
            failures = 1 if progressed() else failures + 1
            if failures >= ATTEMPTS:
                advice = "; is the hub up and reachable?" if error.lasting is Reason.HUB_UNAVAILABLE else ""
                raise FetchError(error.lasting, f"{what}: {error} ({ATTEMPTS} attempts){advice}") from error
            pause = pause_seconds(failures)
            _log.warning("%s: %s; trying again in %.1f s", what, error, pause)
            time.sleep(pause)


def pause_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row: growing, and jittered so that many clients do not come back together."""
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1))
    return longest * random.uniform(0.5, 1.0)
