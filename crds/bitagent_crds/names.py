"""Names that several parts must agree on: label keys, rounds of a validator, directories of the shared volumes.

    model cache      <owner>/<name>/<commit>/...               a hub repository
                     volume/<claim>/<commit>/...               a directory of a volume, by the digest of its content
    artifact volume  rounds/<round uid>/tasks/...              task set and its manifest
                     rounds/<round uid>/results/<key>/...      results of one evaluation, by its key

Jobs mount only the sub-path they need: an evaluation sees one model, one task set and its own results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
COMPONENT_LABEL = "app.kubernetes.io/component"
"""Key of the label whose values are `Component`."""
ROUND_LABEL = "bitagent.io/round"
"""Name of the EvalRound that a Job or pod works for."""
MODEL_LABEL = "bitagent.io/model"
"""Name of the MinerModel that a Job or pod works for."""
VALIDATOR_LABEL = "bitagent.io/validator"
"""Name of the Validator that an EvalRound or pod belongs to."""
REWRITER_LABEL = "bitagent.io/rewriter"
"""Name of the Validator whose rewriter a task-set pod may connect to; on an EvalRound that a person makes, too."""
COMPETITION_LABEL = "bitagent.io/competition"
"""Id of the competition that an EvalRound belongs to."""
DISCOVERY_MANAGER = "bitagent-discovery"
"""Field manager of MinerModels that a validator makes of commitments, and their value of MANAGED_BY_LABEL."""
HOTKEY_LABEL = "bitagent.io/hotkey"
"""Hotkey whose commitment a MinerModel was made from."""
UID_LABEL = "bitagent.io/uid"
"""Number of that hotkey's slot on the subnet."""
SUBMITTED_BY_LABEL = "bitagent.io/submitted-by"
"""How that hotkey has submitted the model, if not by a commitment on the chain."""
SUBMITTED_BY_AXON = "axon"
"""Value of SUBMITTED_BY_LABEL: by what its axon answers."""
COMMITTED_BLOCK_ANNOTATION = "bitagent.io/committed-block"
"""Block of the commitment that a MinerModel was made from, as it was first seen."""
UNCONFIRMED_ANNOTATION = "bitagent.io/unconfirmed-block"
"""`true` while that block was said by one endpoint of several alone: it is read again when another agrees with one."""
LABEL_KEYS_ANNOTATION = "bitagent.io/label-keys"
"""Short hash of the keys of the labels that such a MinerModel was given."""
EPOCH_LABEL = "bitagent.io/epoch"
"""Number of the epoch that an EvalRound belongs to."""
ONLINE_LABEL = "bitagent.io/online"
"""Number of the period for which an EvalRound only builds the tasks that miners are asked online."""
EPOCH_BLOCK_ANNOTATION = "bitagent.io/epoch-block"
"""First block of that epoch."""
CREATED_BLOCK_ANNOTATION = "bitagent.io/created-block"
"""Last final block of the chain when a Validator created an EvalRound."""
BLOCK_SECONDS_ANNOTATION = "bitagent.io/block-seconds"
"""Time between two blocks of the chain of an EvalRound's Validator, in seconds."""
KEY_LABEL = "bitagent.io/key"
"""What a round's Job works on: `tasks`, the `evaluation_key` of a model, or the `control_key` of a repetition."""
PACK_PREFIX = "pack.bitagent.io/"
"""Prefix of the labels of a Job that evaluates several models: one for each key, with its place among them."""
ATTEMPT_LABEL = "bitagent.io/attempt"
"""Number of the attempt, from 1."""
SERIES_LABEL = "bitagent.io/series"
"""`status.series` of the round when the Job was made, if it is not 0."""
SUSPENDED_ANNOTATION = "bitagent.io/suspended-by-round"
"""Annotation of a Job that the operator has suspended with its round, with the value `true`."""
GENERATION_LABEL = "bitagent.io/generation"
"""Generation of the MinerModel that a fetch Job was made for."""
NEED_LABEL = "bitagent.io/need"
"""Short hash of what a fetch Job is needed for."""
COMMIT_LABEL = "bitagent.io/commit"
"""Commit that a fetch Job is for, if a round has fixed it; else the Job resolves the MinerModel's revision."""
RESOLVE_LABEL = "bitagent.io/resolve-only"
"""Label of a fetch Job that only resolves the revision, with the value `true`."""
VERIFY_LABEL = "bitagent.io/verify"
"""Label of a fetch Job that hashes the files that the cache has, with the value `true`."""
FACTS_LABEL = "bitagent.io/facts-only"
"""Label of a fetch Job that checks the model and fetches no files, with the value `true`."""
CACHE_LABEL = "bitagent.io/cache"
"""`cache_id` of the model whose own volume a Job, a pod or a claim is for."""
BYTES_ANNOTATION = "bitagent.io/bytes"
"""Size of the volume that a claim of one model asks for, in bytes."""
SINCE_LABEL = "bitagent.io/since"
"""Moment after which a fetch must have started to satisfy that need, as Unix time."""
FINISHED_LABEL = "bitagent.io/finished"
"""Moment at which the round had finished that an archive Job is for, as Unix time."""
TEMPLATE_ANNOTATION = "bitagent.io/template"
"""Digest of a Job's pod as it was made."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Kueue's label for the LocalQueue of a Job."""
QUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
"""Kueue's label for the WorkloadPriorityClass of a Job."""


class Component(StrEnum):
    """What a pod does; the chart's network policies select on it."""

    FETCH = "fetch"
    TASK_SET = "task-set"
    EVALUATE = "evaluate"
    VALIDATOR = "validator"
    REWRITER = "rewriter"
    ARCHIVE = "archive"
    RETENTION = "retention"


MODEL_VOLUME = "model"
"""Value of COMPONENT_LABEL on the claims of single models' volumes, which are no pods."""


class Egress(StrEnum):
    """Labels of a task-set pod, each with the value `true`, for the destinations that it may connect to.

    The chart's network policies select on them.
    """

    HUB = "bitagent.io/egress-hub"
    """The hub of the operator's configuration."""
    WEB = "bitagent.io/egress-web"
    """Addresses that the round's author chose."""
    REWRITER = "bitagent.io/egress-rewriter"
    """The language model that rewords questions."""


MINERS_EGRESS_LABEL = "bitagent.io/egress-miners"
"""Label of a validator's pod, with the value `true`, that may connect to miners; the chart's network policy selects on
it."""
CACHE_MOUNT = "/models"
MODEL_MOUNT = "/model"
TASKS_MOUNT = "/tasks"
RESULTS_MOUNT = "/results"
SOURCES_MOUNT = "/sources"
VOLUME_MOUNT = "/volume"
ROUND_MOUNT = "/round"
ROUNDS_MOUNT = "/rounds"
ARTIFACTS_MOUNT = "/artifacts"
ROUNDS_FOLDER = "rounds"
"""Folder of all rounds of the artifact volume."""
LEADERBOARD_MOUNT = "/leaderboard"
CA_MOUNT = "/etc/bitagent-ca"


def short_hash(*parts: str, digits: int = 8) -> str:
    """Return the first hex digits of a SHA-256 over the parts and their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:digits]


def round_name(validator: str, competition: str, epoch: int) -> str:
    """Return the name of a validator's EvalRound; it is deterministic, so creating the round twice is harmless.

    It has at most 24 + 1 + 16 + 1 + 6 bytes: epochs count from block 0, so six digits last for centuries.
    """
    return f"{validator}-{competition}-{epoch}"


def pool_name(validator: str, competition: str, period: int) -> str:
    """Return the name of the EvalRound that builds the tasks which are asked online in a period; it is deterministic.

    It has at most 24 + 1 + 16 + 1 + 6 bytes: five hex digits are enough for a million periods. The last part of no
    other round's name begins with `o`.
    """
    return f"{validator}-{competition}-o{period:x}"


def evaluation_key(model: str, *, prompt_format: str, engine: str) -> str:
    """Return the short name of one evaluation in a round: 12 hex digits that follow from what decides its answers.

    `model`: the digest of the model's files; `engine`: the choices for the engine as JSON. Task set, scorer and limits
    are those of the round.
    """
    return short_hash(model, prompt_format, engine, digits=12)


def control_key(key: str, *, series: int = 0) -> str:
    """Return the short name of the control that repeats the evaluation `key` of the same round.

    Each series of the round's Jobs has another one: with the answers of an earlier control in its directory, a control
    would need no engine, and prove nothing.
    """
    return short_hash("control", key, *([str(series)] if series else []), digits=12)


def pack_key(keys: Sequence[str]) -> str:
    """Return the short name of a Job that evaluates these keys, in this order."""
    return short_hash("pack", *keys, digits=12)


def cached_model_path(repo: str, commit: str) -> str:
    """Return the directory of a hub model, relative to the model cache."""
    return f"{repo}/{commit}"


def cached_volume_model_path(claim_name: str, commit: str) -> str:
    """Return the directory of a volume model, relative to the model cache."""
    return f"volume/{claim_name}/{commit}"


def cache_id(path: str) -> str:
    """Return the short name of a cached model: 12 hex digits that follow from its path in the model cache."""
    return short_hash(path, digits=12)


def model_claim(cache: str) -> str:
    """Return the name of the claim of one model's own volume; `cache` is its `cache_id`."""
    return f"bitagent-model-{cache}"


def hotkey_lease(netuid: int, hotkey: str) -> str:
    """Return the name of the Lease of the process that acts for a hotkey on a subnet.

    Names of objects are lower case and addresses are not, so that a digest keeps apart those that differ in case only.
    """
    return f"bitagent-{netuid}-{hotkey[:20].lower()}-{short_hash(hotkey, digits=8)}"


def turn_lease(hotkey: str) -> str:
    """Return the name of the Lease that is held while a transaction of the hotkey is under way, on any subnet."""
    return f"bitagent-turn-{hotkey[:20].lower()}-{short_hash(hotkey, digits=8)}"


def state_config_map(validator: str, competition: str = "") -> str:
    """Return the name of the ConfigMap with a validator's rows of mechanism 0, or what it knows of one competition."""
    return "-".join(part for part in (validator, "scores", competition) if part)


MECHANISMS = 8
"""Most mechanisms that a subnet has."""


def mechanism_config_map(validator: str, mechanism: int) -> str:
    """Return the name of the ConfigMap with a validator's rows of a mechanism other than 0.

    A competition has no dot in its name, so that none is taken for a mechanism.
    """
    return f"{state_config_map(validator)}.{mechanism}"


def discovered_model(validator: str, hotkey: str, *content: str) -> str:
    """Return the name of the MinerModel that a validator makes of a hotkey's commitment to this content.

    It has at most 24 + 1 + 8 + 1 + 12 bytes. Other content of the same hotkey has another name.
    """
    return f"{validator}-{hotkey[:8].lower()}-{short_hash(hotkey, *content, digits=12)}"


def leaderboard_config_map(round_name: str) -> str:
    """Return the name of the ConfigMap with a round's signed leaderboard."""
    return f"{round_name}-leaderboard"


def round_path(round_uid: str) -> str:
    """Return the directory of everything that belongs to a round, relative to the artifact volume."""
    return f"{ROUNDS_FOLDER}/{round_uid}"


def task_set_path(round_uid: str) -> str:
    """Return the directory of a round's task set, relative to the artifact volume."""
    return f"rounds/{round_uid}/tasks"


def results_path(round_uid: str, key: str) -> str:
    """Return the directory of one evaluation's results, relative to the artifact volume."""
    return f"rounds/{round_uid}/results/{key}"
