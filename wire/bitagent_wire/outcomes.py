"""What came of asking a miner."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from bitagent_crds.printable import escape_unprintable
from bitagent_wire.messages import Message

WORDS_MAX = 200
_AXON = re.compile(r"^\[?([0-9a-fA-F.:]{2,45})\]?:([0-9]{1,5})$")
M = TypeVar("M", bound=Message)


class Protocol(StrEnum):
    """A wire."""

    BTAUTH = "btauth/1"
    AXON = "axon"
    """That of bittensor 10 and earlier."""


class Preference(StrEnum):
    """On which wire a miner is asked."""

    AUTO = "Auto"
    """By btauth/1; and on the old wire if the answer shows an Axon, which does not know btauth/1."""
    BTAUTH = "Btauth"
    AXON = "Axon"


class Outcome(StrEnum):
    """What came of asking a miner once."""

    ANSWERED = "Answered"
    """There is an answer of the right form; not that it is right."""
    TIMEOUT = "Timeout"
    """The whole answer was not there within the time limit."""
    UNREACHABLE = "Unreachable"
    """No connection, or it ended before the answer."""
    ADDRESS_REFUSED = "AddressRefused"
    """The address may not be asked, and was not."""
    REFUSED = "Refused"
    """The miner does not answer this hotkey (403)."""
    UNAUTHORISED = "Unauthorised"
    """The miner did not accept the signature, the time or the receiver (401)."""
    RATE_LIMITED = "RateLimited"
    """429."""
    BUSY = "Busy"
    """The miner's queue is full, or its own time limit was reached (408, 503)."""
    UNSUPPORTED = "Unsupported"
    """The miner does not know this message (404, 405)."""
    REDIRECTED = "Redirected"
    """Redirects are not followed."""
    FAILED = "Failed"
    """Any other status than 200."""
    WRONG_TYPE = "WrongType"
    """The answer is not JSON of the right form, or in an encoding that is not read."""
    TOO_LARGE = "TooLarge"
    """The answer, decompressed, or a text in it, has more than the maximum."""
    BAD_SIGNATURE = "BadSignature"
    """The answer is signed, and not by the miner's hotkey."""
    REPLAYED = "Replayed"
    """The answer is one to another request."""
    BROKEN = "Broken"
    """What came is not HTTP."""
    UNSUITED_KEY = "UnsuitedKey"
    """The old wire does not know signatures of this validator's kind of key; the miner was not asked."""


@dataclass(frozen=True)
class MinerAddress:
    """A miner, and where it says that it serves."""

    hotkey: str
    host: str
    """An IP address as a literal. A name is resolved, for people who debug; the chain has none."""
    port: int
    preference: Preference = Preference.AUTO

    @classmethod
    def of_axon(cls, hotkey: str, axon: str | None, preference: Preference = Preference.AUTO) -> MinerAddress | None:
        """Return the address of an axon as the SDK writes it, `1.2.3.4:8091`; None if there is none or it is another
        text."""
        found = _AXON.match(axon or "")
        if found is None or not 0 < int(found[2]) < 65536:
            return None
        return cls(hotkey, found[1], int(found[2]), preference)

    @property
    def shown(self) -> str:
        """The address as text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer(Generic[M]):
    """What came of asking a miner one message."""

    outcome: Outcome
    seconds: float
    """From the call to its end."""
    protocol: Protocol | None = None
    """The wire of the last request; None if nothing was sent."""
    message: M | None = None
    """The message with what the miner answered; only if the outcome is Answered."""
    detail: str = ""
    """What went wrong, also in the miner's own words: printable, at most 200 characters."""
    signed: bool = False
    """Whether the answer carries the miner's signature. Those of the old wire never do."""
    bytes_read: int = field(default=0, compare=False)

    @property
    def good(self) -> bool:
        """Whether there is an answer."""
        return self.outcome is Outcome.ANSWERED


def words(text: str) -> str:
    """Return another's words as they may be shown: in one line, printable, bounded."""
    return escape_unprintable(" ".join(text[: 4 * WORDS_MAX].split()))[:WORDS_MAX]


FORGET_SECONDS = 24 * 3600.0
"""Time after its last answer by btauth/1 in which a miner is not asked on the old wire."""


class KnownProtocols:
    """Which miners answered by btauth/1 before: they are not asked on the old wire again, which proves less.

    By hotkey and address: a miner that serves at another address may be another program. A miner that goes back to an
    Axon at its address is asked as such once it has not answered by btauth/1 for FORGET_SECONDS.
    """

    def __init__(self, *, maximum: int = 4096, clock: Callable[[], float] = time.monotonic) -> None:
        self._maximum, self._clock = maximum, clock
        self._btauth: dict[tuple[str, str, int], float] = {}
        """When each answered last, the oldest first."""

    def preferred(self, miner: MinerAddress) -> MinerAddress:
        """Return the miner with the preference that follows from its earlier answers."""
        last = self._btauth.get((miner.hotkey, miner.host, miner.port))
        known = last is not None and self._clock() - last < FORGET_SECONDS
        if miner.preference is not Preference.AUTO or not known:
            return miner
        return MinerAddress(miner.hotkey, miner.host, miner.port, Preference.BTAUTH)

    def note(self, miner: MinerAddress, answer: Answer[M]) -> None:
        """Remember what an answer shows; the oldest is forgotten beyond the maximum."""
        if not answer.good or answer.protocol is not Protocol.BTAUTH:
            return
        key = (miner.hotkey, miner.host, miner.port)
        self._btauth.pop(key, None)
        self._btauth[key] = self._clock()
        if len(self._btauth) > self._maximum:
            del self._btauth[next(iter(self._btauth))]
