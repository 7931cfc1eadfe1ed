"""Endpoints of the chain: which is next, which must wait, and which chains are local."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

RETRY_AFTER_MAX = 600.0
"""Longest wait, in seconds, that an endpoint can ask for."""
RETRY_AFTER_DEFAULT = 30.0
"""The wait for an endpoint that limits requests without a number."""
ENDPOINTS_FILE = Path("/etc/bitagent/endpoints/endpoints")
"""Where the operator mounts the Secret of `spec.chain.endpointsSecretRef`."""
_PUBLIC_CHAINS = frozenset(
    {
        "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03",
        "0x8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105",
    }
)
"""Hashes of block 0 of Bittensor's main network and its test network."""
_LOCAL_NAMES = (".svc", ".cluster.local", ".localhost")
_MAX_BYTES = 16 * 1024
_MAX_ENDPOINTS = 8


def is_public(genesis: str) -> bool:
    """Return whether a chain with this hash of block 0 is Bittensor's main or test network, which began long ago."""
    return genesis.lower() in _PUBLIC_CHAINS


def of_local_chain(url: str, *, genesis: str) -> bool:
    """Return whether an endpoint is of a chain of this machine or cluster, whose miners may have private addresses.

    A node of a public chain is not, wherever it is.
    """
    host = (urlsplit(url).hostname or "").lower()
    if is_public(genesis) or not host:
        return False
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_NAMES)


def secret_endpoints(path: Path = ENDPOINTS_FILE) -> list[str]:
    """Return the addresses in the mounted Secret, one a line; none if there is no such file.

    Raises ValueError if the file cannot be read, or if a line is not a websocket address; no message has the line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = file.read(_MAX_BYTES).split()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"the Secret of spec.chain.endpointsSecretRef cannot be read: {type(error).__name__}"
        ) from None
    if any(not re.match(r"wss?://[^/]", line) for line in lines) or len(lines) > _MAX_ENDPOINTS:
        raise ValueError(
            "the Secret of spec.chain.endpointsSecretRef should have one websocket address (wss://...) a line, and at "
            f"most {_MAX_ENDPOINTS}"
        )
    return lines


def seconds_to_wait(value: str | None, *, now: datetime | None = None) -> float:
    """Return the wait that a Retry-After names, in seconds or as a date; the default if it cannot be read."""
    if not value:
        return RETRY_AFTER_DEFAULT
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, TypeError):
            return RETRY_AFTER_DEFAULT
    return min(max(seconds, 1.0), RETRY_AFTER_MAX) if seconds == seconds else RETRY_AFTER_DEFAULT


class Rotation:
    """The endpoints in the order in which they are tried, and until when each must wait."""

    def __init__(self, endpoints: Sequence[str], *, clock: Callable[[], float]) -> None:
        self._order = list(dict.fromkeys(endpoints))
        self._until: dict[str, float] = {}
        self._limited: dict[str, float] = {}
        self._clock = clock

    @property
    def current(self) -> str:
        """The endpoint that is used, or tried next."""
        return self._order[0]

    @property
    def several(self) -> bool:
        """Whether there is more than one endpoint."""
        return len(self._order) > 1

    @property
    def others(self) -> list[str]:
        """The other endpoints that need not wait."""
        return [each for each in self._order[1:] if self._until.get(each, 0.0) <= self._clock()]

    @property
    def witnesses(self) -> list[str]:
        """The other endpoints that may be asked for their height: all that do not limit requests now."""
        return [each for each in self._order[1:] if self._limited.get(each, 0.0) <= self._clock()]

    def park(self, endpoint: str, *, seconds: float, limited: bool = False) -> None:
        """Do not use an endpoint for so long, unless all must wait longer; `limited`: it asks for that itself."""
        self._until[endpoint] = self._clock() + seconds
        if limited:
            self._limited[endpoint] = self._until[endpoint]

    def prefer(self, endpoint: str) -> None:
        """Put an endpoint first."""
        self._order.remove(endpoint)
        self._order.insert(0, endpoint)

    def advance(self) -> float:
        """Make the next endpoint that need not wait the current one; return the seconds until it may be used.

        If all must wait, it is the one that may be used first.
        """
        self._order.append(self._order.pop(0))
        now = self._clock()
        soonest = min(self._order, key=lambda each: max(self._until.get(each, 0.0), now))
        self.prefer(soonest)
        return max(0.0, self._until.get(soonest, 0.0) - now)
