"""The MinerModels of discovery as objects: what is read of those that exist, and what is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bitagent_crds.discovery import Discovery
from bitagent_crds.names import (
    COMMITTED_BLOCK_ANNOTATION,
    COMPETITION_LABEL,
    DISCOVERY_MANAGER,
    HOTKEY_LABEL,
    LABEL_KEYS_ANNOTATION,
    MANAGED_BY_LABEL,
    SUBMITTED_BY_AXON,
    SUBMITTED_BY_LABEL,
    UID_LABEL,
    UNCONFIRMED_ANNOTATION,
    VALIDATOR_LABEL,
    short_hash,
)
from bitagent_crds.schema import API_VERSION
from bitagent_kube.objects import Obj
from bitagent_validator.discovery.commitments import CommittedModel

BLOCK_DIGITS = 15


@dataclass(frozen=True)
class Existing:
    """A MinerModel that discovery has made for this Validator."""

    name: str
    uid: str
    hotkey: str
    block: int | None = None
    """The block of the first sight; None if its annotation is not a number."""
    unconfirmed: bool = False
    """Whether one endpoint of several alone has said that block."""
    labels: Mapping[str, str] = field(default_factory=dict)
    label_keys: str = ""
    """`_keys_of` the labels that were written last."""
    axon: bool = False
    """Whether it was made of what the hotkey's axon has answered, and not of a commitment."""
    commit: str = ""
    """The commit that its revision stands for, as the operator has found it; empty before."""
    source: Mapping[str, object] = field(default_factory=dict)
    miner: Mapping[str, object] = field(default_factory=dict)


def existing_of(obj: Obj) -> Existing:
    """Parse a MinerModel that carries discovery's labels."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    source = (spec.get("source") or {}).get("huggingFace") or {}
    block = str(annotations.get(COMMITTED_BLOCK_ANNOTATION, ""))
    return Existing(
        name=metadata["name"],
        uid=metadata["uid"],
        hotkey=str(labels.get(HOTKEY_LABEL, "")),
        block=int(block) if block.isascii() and block.isdecimal() and len(block) <= BLOCK_DIGITS else None,
        unconfirmed=annotations.get(UNCONFIRMED_ANNOTATION) == "true",
        labels=labels,
        label_keys=str(annotations.get(LABEL_KEYS_ANNOTATION, "")),
        axon=labels.get(SUBMITTED_BY_LABEL) == SUBMITTED_BY_AXON,
        commit=str(((obj.get("status") or {}).get("resolved") or {}).get("commit", "")),
        source={name: source[name] for name in ("repo", "revision") if name in source},
        miner=spec.get("miner") or {},
    )


@dataclass(frozen=True)
class Desired:
    """A MinerModel that is to exist."""

    name: str
    hotkey: str
    uid: int
    block: int
    submission: CommittedModel
    axon: bool = False
    """Whether it is made of what the hotkey's axon has answered."""
    unconfirmed: bool = False
    """Whether one endpoint of several alone has said that block."""


def manifest(desired: Desired, settings: Discovery, *, validator: str) -> Obj:
    """Return the fields of a MinerModel that discovery owns, without those that name the object."""
    submission = desired.submission
    source = settings.axons if desired.axon else settings.commitments
    labels = {
        **(source.labels if source is not None else {}),
        MANAGED_BY_LABEL: DISCOVERY_MANAGER,
        VALIDATOR_LABEL: validator,
        HOTKEY_LABEL: desired.hotkey,
        UID_LABEL: str(desired.uid),
    }
    if submission.competition is not None:
        labels[COMPETITION_LABEL] = submission.competition
    if desired.axon:
        labels[SUBMITTED_BY_LABEL] = SUBMITTED_BY_AXON
    annotations = {COMMITTED_BLOCK_ANNOTATION: str(desired.block), LABEL_KEYS_ANNOTATION: _keys_of(labels)}
    annotations |= {UNCONFIRMED_ANNOTATION: "true"} if desired.unconfirmed else {}
    miner: Obj = {"hotkey": desired.hotkey}
    if submission.pinned:
        miner["commitBlock"] = desired.block
    if submission.hash is not None:
        miner["commitmentHash"] = submission.hash
    return {
        "apiVersion": API_VERSION,
        "kind": "MinerModel",
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"source": {"huggingFace": {"repo": submission.repo, "revision": submission.revision}}, "miner": miner},
    }


def differs(found: Existing | None, desired: Desired, settings: Discovery, validator: str) -> bool:
    """Whether a MinerModel is to be written. Labels that others have added are left alone.

    The keys of what was written last show a label that the spec has no longer: applying again removes it.
    """
    if found is None or (found.block, found.unconfirmed) != (desired.block, desired.unconfirmed):
        return True
    body = manifest(desired, settings, validator=validator)
    labels, spec = body["metadata"]["labels"], body["spec"]
    same = found.labels.items() >= labels.items() and found.label_keys == _keys_of(labels)
    return not (same and found.source == spec["source"]["huggingFace"] and found.miner == spec["miner"])


def _keys_of(labels: Mapping[str, str]) -> str:
    return short_hash(*sorted(labels))
