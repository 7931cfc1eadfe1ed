"""Untrusted text made visible, and addresses that may be linked. Pure.

Miners choose names, repositories, licences and architectures. Templates escape markup; this module makes characters
visible that would change how a line reads, such as control characters and those that turn the direction of text.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bitagent_crds.printable import escape_unprintable

LONGEST = 200
"""Characters of one text at most."""
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9._~/-]*", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def shown(text: str, limit: int = LONGEST) -> str:
    """Return the text on one line with all its characters visible, and an ellipsis where it is cut."""
    text = escape_unprintable(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cell(text: str) -> str:
    """Return a text for a cell of CSV that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def image_name(image: str) -> str:
    """Return an image without the address of its registry."""
    return shown(image.rpartition("/")[2])


def web_address(address: str) -> str:
    """Return an https address without its last slash, to which paths may be added.

    Raises ValueError for anything else, also for one with a user, a query or characters that would need escaping.
    """
    parts = urlsplit(address)
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme != "https" or not plain or not _HOST.fullmatch(parts.netloc) or not _PATH.fullmatch(parts.path):
        raise ValueError(f"{shown(address)!r} is not an https address of a host and a path: write https://HOST/PATH")
    return address.rstrip("/")


def hub_repo(repo: str | None) -> str | None:
    """Return a repository of a hub, `owner/name`; None for anything else, such as a directory of a volume."""
    return repo if repo is not None and len(repo) <= 96 and _REPO.fullmatch(repo) else None


def hub_link(hub: str, repo: str, commit: str | None) -> str:
    """Return the address of a repository's files on a hub; `repo` is of `hub_repo`."""
    return f"{hub}/{repo}/tree/{commit}" if commit is not None and _COMMIT.fullmatch(commit) else f"{hub}/{repo}"


def short(text: str, *, ends: int = 6) -> str:
    """Return the two ends of a long identifier."""
    return text if len(text) <= 2 * ends + 1 else f"{text[:ends]}…{text[-ends:]}"
