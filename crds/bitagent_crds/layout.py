"""Where things are in the two shared volumes. Pure: paths only.

    model cache      <owner>/<name>/<commit>/...               a hub repository
                     volume/<claim>/<commit>/...               a directory of a volume; the commit is its content's digest
    artifact volume  rounds/<round uid>/tasks/...              task set and manifest
                     rounds/<round uid>/results/<key>/...      results of one evaluation; key from the weights digest

Jobs mount only the sub-path they need: an evaluation sees one model, one task set, its own results.
"""

from __future__ import annotations

import hashlib

CACHE_MOUNT = "/models"
MODEL_MOUNT = "/model"
TASKS_MOUNT = "/tasks"
RESULTS_MOUNT = "/results"
SOURCES_MOUNT = "/sources"
VOLUME_MOUNT = "/volume"


def cached_model(repo: str, commit: str) -> str:
    """Directory of a hub model in the cache."""
    return f"{repo}/{commit}"


def cached_volume_model(claim_name: str, commit: str) -> str:
    """Directory of a volume model in the cache."""
    return f"volume/{claim_name}/{commit}"


def task_set(round_uid: str) -> str:
    """Directory of a round's task set in the artifact volume."""
    return f"rounds/{round_uid}/tasks"


def evaluation_key(weights_digest: str) -> str:
    """Short name of one evaluation in a round: 12 hex digits that follow from the weights."""
    return hashlib.sha256(weights_digest.encode()).hexdigest()[:12]


def results(round_uid: str, key: str) -> str:
    """Directory of one evaluation's results in the artifact volume."""
    return f"rounds/{round_uid}/results/{key}"
