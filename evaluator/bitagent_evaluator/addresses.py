"""Web addresses that a round's spec names."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_address(url: str) -> None:
    """Raises ValueError with a message for people, for an address that leads nowhere or that holds a user name or a password.

    Addresses stand in manifests and messages as they are, and so would these.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ValueError(f"{url!r} is no web address: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"{url!r} is no web address: it begins with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ValueError(
            "url holds a user name or a password, which the manifest would publish: give a key in a Secret"
        )
