"""What the manifest of a task set says about the rewriter of the round's Validator, and that no other one answered."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bitagent_crds.jobs import RewriterAddress
from bitagent_crds.task_set import RewriterRecord
from bitagent_evaluator.alterations.rewrite_cache import REWRITES
from bitagent_evaluator.support.files import write_atomically

REWRITER = "rewriter.json"
"""Which rewriter the responses beside it are of."""

_TIMEOUT_SECONDS = 10.0
_MAX_BYTES = 4096


def record_of(found: RewriterAddress) -> RewriterRecord:
    """Return the record for the manifest. The server is asked for its version, once and best effort."""
    choices = found.engine.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    version = server_version(found.url)
    return RewriterRecord(
        repo=found.repo, commit=found.commit, choices=choices, image=found.image, engine=version and f"vllm {version}"
    )


def forget_others(out: Path, rewriter: RewriterAddress) -> None:
    """Remove the responses that an earlier attempt got from another rewriter: the manifest names one. Raises OSError.

    Their keys do not depend on the model, so that they would count as this one's.
    """
    mark, mine = out / REWRITER, rewriter.model_dump_json(by_alias=True, exclude={"url"}).encode()
    if mark.exists() and mark.read_bytes() == mine:
        return
    (out / REWRITES).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(mark, mine)


def server_version(url: str) -> str:
    """Return the version that vLLM's server says it has; empty if it does not say."""
    parts = urlsplit(url)
    root = urlunsplit((parts.scheme, parts.netloc, "/version", "", ""))
    try:
        with urllib.request.urlopen(root, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - the operator's http URL
            found = json.loads(response.read(_MAX_BYTES))
    except (OSError, ValueError, HTTPException):
        return ""
    version = found.get("version") if isinstance(found, dict) else None
    return version[:64] if isinstance(version, str) else ""
