"""Names and labels. Every name follows from what the object is for, so that creating it twice is harmless.

A Job's name goes into a label of its pods, which holds 63 bytes. The kinds' names are bounded for that (EvalRound 48, MinerModel 52,
Validator 24 bytes): a suffix of a dash and 12 hex digits fits, and so does the number of a second attempt.

    <model>-<8 hex of model uid, generation, need>[-<attempt>]    fetch
    <round>-tasks[-<attempt>]                                     task set
    <round>-<12 hex of the weights>[-<attempt>]                   evaluation
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

MANAGER = "bitagent-operator"
"""Field manager, reporting controller, and value of the managed-by label."""

MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
ROUND = "bitagent.io/round"
MODEL = "bitagent.io/model"
VALIDATOR = "bitagent.io/validator"
KEY = "bitagent.io/key"
ATTEMPT = "bitagent.io/attempt"
GENERATION = "bitagent.io/generation"
NEED = "bitagent.io/need"
SINCE = "bitagent.io/since"
QUEUE = "kueue.x-k8s.io/queue-name"
MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGER}"

MAX_RERUNS = 9
"""Attempts that a name has room for: `-9` is the last suffix."""


class Component(StrEnum):
    """What a pod of ours does; the chart's network policies select on it."""

    FETCH = "fetch"
    TASK_SET = "task-set"
    EVALUATE = "evaluate"
    VALIDATOR = "validator"


class Egress(StrEnum):
    """Labels of a task-set pod, each with the value `true`: where it may go. The chart's network policies select on them."""

    HUB = "bitagent.io/egress-hub"
    """The hub of the operator's configuration."""
    WEB = "bitagent.io/egress-web"
    """Addresses that the round's author chose."""
    REWRITER = "bitagent.io/egress-rewriter"
    """The language model that rewords questions."""


TASKS_KEY = "tasks"
"""Stands in the `bitagent.io/key` label of a round's task-set Job."""


def short_hash(*parts: str, digits: int = 8) -> str:
    """Hex digits that follow from the parts and from where one ends and the next begins."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:digits]


def attempt_name(base: str, attempt: int) -> str:
    """The name of the n-th attempt; the first has no suffix. Raises ValueError when the name would not fit."""
    name = base if attempt == 1 else f"{base}-{attempt}"
    if len(name) > 63:
        raise ValueError(f"name {name!r} is longer than 63 bytes")
    return name


def fetch_job(model: str, *, need: str, attempt: int) -> str:
    """Name of a fetch Job; `need` is the short hash of what the fetch is needed for."""
    return attempt_name(f"{model}-{need}", attempt)


def round_job(round_name: str, *, key: str, attempt: int) -> str:
    """Name of a round's task-set Job (key `tasks`) or of the evaluation of one set of weights."""
    return attempt_name(f"{round_name}-{key}", attempt)


def validator_objects(validator: str) -> str:
    """Name of a Validator's Deployment, ServiceAccount, Role and RoleBinding."""
    return f"bitagent-validator-{validator}"


def labels(component: Component, **extra: str) -> dict[str, str]:
    """Labels of everything that the operator makes for `component`; `extra` by the constants' names in lower case."""
    named = {"round": ROUND, "model": MODEL, "validator": VALIDATOR, "key": KEY, "attempt": ATTEMPT, "need": NEED}
    named |= {"generation": GENERATION, "since": SINCE}
    return {MANAGED_BY: MANAGER, COMPONENT: component} | {named[k]: v for k, v in extra.items()}
