"""The model hub: a repository's revision to the commit that it names now."""

from __future__ import annotations

import json
import os
from urllib.parse import quote

import aiohttp
from pydantic import TypeAdapter, ValidationError

from bitagent_crds.fields import Commit
from bitagent_miner.submissions import Named

DEFAULT_ENDPOINT = "https://huggingface.co"
SECONDS = 30.0
MAXIMUM_BYTES = 8 * 1024 * 1024
_COMMIT = TypeAdapter[str](Commit)


class HubError(Exception):
    """The hub did not say which commit a revision names."""


def endpoint() -> str:
    """Return the hub's address: HF_ENDPOINT, or the public one."""
    return os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/")


async def resolve(model: Named, *, hub: str, token: str | None = None) -> Named:
    """Return the model at the commit that its revision names. Raises HubError."""
    url = f"{hub}/api/models/{model.repo}/revision/{quote(model.revision, safe='')}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=True) as session,
            session.get(url, headers=headers) as response,
        ):
            if response.status in (401, 404):
                raise HubError(f"{hub} has no {model.shown}, or it is not public: is the name right?")
            if response.status != 200:
                raise HubError(f"{hub} answers {response.status} for {model.shown}: try again")
            body = await response.content.read(MAXIMUM_BYTES)
            while not response.content.at_eof() and len(body) < MAXIMUM_BYTES:
                body += await response.content.read(MAXIMUM_BYTES - len(body))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise HubError(f"{hub} does not answer: {error or type(error).__name__}") from error
    try:
        commit = _COMMIT.validate_python(json.loads(body)["sha"])
    except (ValueError, LookupError, TypeError, RecursionError, ValidationError):
        raise HubError(f"{hub} names no commit for {model.shown}") from None
    if model.pinned and commit != model.revision:
        raise HubError(f"{hub} names another commit, {commit}, for {model.shown}")
    return Named(model.repo, commit)
