"""Sizes of a round's results as etcd stores them: 1,024 of them must fit in one object, whatever miners write."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_kube.conditions import clip
from bitagent_operator.observed.objects import changed

_MESSAGES = 64 * 1024
"""Stored bytes of all messages of a round together: 1,024 results must fit in etcd, 1.5 MiB by default."""
_RESULTS = 1480 * 1024
"""Stored bytes of all final results together: the rest of the object needs the difference to 1.5 MiB."""
_ESCAPED = 6
"""Bytes of a character that JSON escapes, `\\u003c`; no other takes more."""


def fitting(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the results with messages that fit together; in a small round none is cut."""
    limit = max(64, _MESSAGES // max(1, len(results)))
    cut = ((r, _clip_stored(r.message, limit)) for r in results)
    return [r if r.message == message else changed(r, message=message) for r, message in cut]


def stored_whole(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the final results so that they fit in etcd: without what a score does without, if there are too many.

    Near copies have two more fields, and one miner can make all models of a round near copies.
    """
    size = sum(_escaped(r.model_dump_json(by_alias=True, exclude_none=True)) for r in results)
    if size <= _RESULTS:
        return list(results)
    return [changed(r, node=None, message="") if r.state == ResultState.SUCCEEDED else r for r in results]


def _clip_stored(text: str, limit: int) -> str:
    """Cut the text so that the API server stores it in at most `limit` bytes. It may contain text of a miner."""
    cut = text
    while (excess := _stored(cut) - limit) > 0:
        cut = clip(text, len(cut) - max(1, excess // _ESCAPED))
    return cut


def _stored(text: str) -> int:
    """Return the bytes of a text inside of a JSON document, as the API server writes it."""
    return _escaped(json.dumps(text, ensure_ascii=False)) - 2


def _escaped(document: str) -> int:
    """Return the bytes of a JSON document as the API server writes it: it also escapes <, > and &."""
    return len(document.encode()) + sum(document.count(c) for c in "<>&") * (_ESCAPED - 1)
