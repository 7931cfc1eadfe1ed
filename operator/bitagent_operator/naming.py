"""Names and labels of the operator's objects. A name follows from the purpose: creating an object twice is harmless.

A Job's name becomes a label of its pods, which holds 63 bytes. The kinds' names are bounded for that (EvalRound 48,
MinerModel 52, Validator 24 bytes): a suffix of a dash and 12 hex digits fits, and so does the number of an attempt.

    <model>-<8 hex of model uid, generation, need>[-<attempt>]    fetch
    <round>-tasks[-<attempt>]                                     task set
    <round>-<12 hex of the weights>[-<attempt>]                   evaluation

A new series of a round's Jobs has other names: 12 hex digits of what they work on and of the series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bitagent_crds.names import COMPONENT_LABEL, MANAGED_BY_LABEL, SERIES_LABEL, Component, short_hash

MANAGER = "bitagent-operator"
"""Field manager, reporting controller, and value of the managed-by label."""

MANAGED_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGER}"
"""Label selector of everything that the operator creates."""

_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
MAX_ATTEMPTS = 9
"""Attempts that a name has room for: `-9` is the last suffix."""

TASKS_KEY = "tasks"
"""Value of KEY_LABEL on a round's task-set Job."""

ARCHIVE_KEY = "archive"
"""Value of KEY_LABEL on a round's archive Job."""

SWEEP_KEY = "sweep"
"""Value of KEY_LABEL on the Job that records the end of a round and measures the artifact volume."""

REMOVE_KEY = "remove"
"""Value of KEY_LABEL on the Job that removes a round's files."""


def attempt_name(base: str, attempt: int) -> str:
    """Return the name of an attempt; the first has no suffix. Raises ValueError if the name does not fit."""
    name = base if attempt == 1 else f"{base}-{attempt}"
    if len(name) > 63:
        raise ValueError(f"name {name!r} is longer than 63 bytes")
    return name


def fetch_job_name(model: str, *, need: str, attempt: int) -> str:
    """Return the name of a fetch Job; `need` is the short hash of what the fetch is needed for."""
    return attempt_name(f"{model}-{need}", attempt)


_INDEXED = 44
"""Longest name of a round in that of an Indexed Job, whose pods have it with their index as a DNS label."""


def round_job_name(round_name: str, *, key: str, attempt: int, series: int = 0, indexed: bool = False) -> str:
    """Return the name of a round's task-set Job (key `tasks`) or of the evaluation of one set of weights.

    That of an Indexed Job is a DNS label: without dots.
    """
    part = key if series == 0 else short_hash(key, str(series), digits=12)
    if indexed and ("." in round_name or len(round_name) > _INDEXED):
        part = short_hash(round_name, key, str(series), digits=12)
        round_name = round_name[:_INDEXED].replace(".", "-").rstrip("-")
    return attempt_name(f"{round_name}-{part}", attempt)


def series_label(series: int) -> dict[str, str]:
    """Return the label of the series; the first one has none."""
    return {SERIES_LABEL: str(series)} if series else {}


def validator_objects_name(validator: str) -> str:
    """Return the name of a Validator's Deployment, ServiceAccount, Role and RoleBinding."""
    return f"bitagent-validator-{validator}"


def rewriter_name(validator: str) -> str:
    """Return the name of the objects of a Validator's rewriter, and the prefix of its fetch Jobs' names."""
    return f"{validator}-rewriter"


def rewriter_service(validator: str) -> str:
    """Return the name of the Service: unlike other names it has no dots, and begins with a letter."""
    name = rewriter_name(validator)
    return name if _SERVICE.fullmatch(name) else f"rewriter-{short_hash(validator, digits=12)}"


def labels(component: Component, purpose: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an object of `component`; `purpose` has the labels that name what it works for."""
    return {MANAGED_BY_LABEL: MANAGER, COMPONENT_LABEL: component, **purpose}
