"""The plan of discovery: which MinerModels to write and to delete, by what was found and by those that exist. Pure.

One model for each registered hotkey: that of its commitment on the chain, or else what its axon answers. Other content
of a hotkey is another submission with another name, and the block at which it was first seen stays with its object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bitagent_crds.discovery import AxonDiscovery, CommitmentDiscovery, CommitmentFault, Discovery
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
    VALIDATOR_LABEL,
    discovered_model,
    short_hash,
)
from bitagent_crds.schema import API_VERSION
from bitagent_kube.objects import Obj
from bitagent_validator.chain.published import Published
from bitagent_validator.discovery.commitments import CommittedModel, Fault, Parsed, parse

BLOCK_DIGITS = 15


@dataclass(frozen=True)
class Existing:
    """A MinerModel that discovery has made for this Validator."""

    name: str
    uid: str
    hotkey: str
    block: int | None = None
    """The block of the first sight; None if its annotation is not a number."""
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


@dataclass(frozen=True)
class DiscoveryPlan:
    """What to do about a subnet's commitments and axons."""

    models: tuple[Desired, ...] = ()
    """All that are to exist, those committed to first first."""
    write: tuple[Desired, ...] = ()
    """Those of them that do not exist, or differ."""
    delete: tuple[Existing, ...] = ()
    superseded: tuple[Existing, ...] = ()
    """Those to be deleted once no running round needs them."""
    ignored: Mapping[str, Fault] = field(default_factory=dict)
    """By hotkey."""
    known: frozenset[str] = frozenset()
    """Names of those that exist."""
    stay: int = 0
    """Number of those that exist and stay, although nothing in this plan calls for them."""


def plan_discovery(
    settings: Discovery,
    *,
    validator: str,
    competitions: Collection[str],
    uids: Mapping[str, int],
    published: Mapping[str, Published | None],
    existing: Iterable[Existing],
    needed: Collection[str],
    answers: Mapping[str, Parsed] | None = None,
    block: int = 0,
    unsure: Collection[str] = (),
) -> DiscoveryPlan:
    """Return what to do.

    `uids` has the registered hotkeys, `published` the commitments by hotkey, `answers` what their axons have answered
    up to `block`, and `needed` the names of the models in running rounds: of a registered hotkey these stay until the
    round ends. A hotkey without a slot keeps none. The models of a source that is off are left alone. Of `unsure`
    hotkeys `published` may lack a commitment that the chain has: the models of theirs stay for now.
    """
    by_name = {each.name: each for each in existing if _is_on(settings, axon=each.axon)}
    models, ignored = _of_commitments(settings.commitments, validator, competitions, uids, published, by_name)
    known = [e for e in by_name.values() if not e.axon and e.hotkey in uids and e.hotkey not in published]
    unread = {each.hotkey for each in known if each.hotkey in unsure}
    committed = {each.hotkey for each in models} | unread
    others = {hotkey: parsed for hotkey, parsed in (answers or {}).items() if hotkey not in committed}
    found, faults, kept = _of_axons(settings.axons, validator, uids, others, by_name, block)
    models += found
    ignored |= {hotkey: fault for hotkey, fault in faults.items() if hotkey not in committed | ignored.keys()}
    names = {each.name for each in models}
    rest = [each for name, each in sorted(by_name.items()) if name not in names]
    kept_names = {each.name for each in kept if each.hotkey not in committed}
    kept_names |= {each.name for each in known if each.hotkey in unread}
    surplus = [each for each in rest if each.name not in kept_names]
    stay = [each for each in surplus if each.name in needed and each.hotkey in uids]
    return DiscoveryPlan(
        models=tuple(models),
        write=tuple(each for each in models if _differs(by_name.get(each.name), each, settings, validator)),
        delete=tuple(each for each in surplus if each not in stay),
        superseded=tuple(stay),
        ignored=ignored,
        known=frozenset(by_name),
        stay=len(kept_names),
    )


def _is_on(settings: Discovery, *, axon: bool) -> bool:
    return (settings.axons if axon else settings.commitments) is not None


def _of_commitments(
    settings: CommitmentDiscovery | None,
    validator: str,
    competitions: Collection[str],
    uids: Mapping[str, int],
    published: Mapping[str, Published | None],
    by_name: Mapping[str, Existing],
) -> tuple[list[Desired], dict[str, Fault]]:
    """Return the models of commitments, those committed to first first, and why others have none."""
    found: list[Desired] = []
    ignored: dict[str, Fault] = {}
    if settings is None:
        return found, ignored
    for hotkey in sorted(uids.keys() & published.keys()):
        commitment = published[hotkey]
        parsed = _parsed(commitment, settings, competitions)
        if isinstance(parsed, Fault) or commitment is None:
            ignored[hotkey] = parsed if isinstance(parsed, Fault) else _UNREADABLE
            continue
        name = _name(validator, hotkey, parsed)
        seen = by_name[name].block if name in by_name else None
        block = commitment.block if seen is None else min(seen, commitment.block)
        found.append(Desired(name, hotkey, uids[hotkey], block, parsed))
    found.sort(key=lambda each: (each.block, each.hotkey))
    models, others = found[: settings.maximum_models], found[settings.maximum_models :]
    text = f"{settings.maximum_models} hotkeys have committed before it: raise maximumModels"
    ignored |= {each.hotkey: Fault(CommitmentFault.OVER_LIMIT, text) for each in others}
    return models, ignored


def _of_axons(
    settings: AxonDiscovery | None,
    validator: str,
    uids: Mapping[str, int],
    answers: Mapping[str, Parsed],
    by_name: Mapping[str, Existing],
    now: int,
) -> tuple[list[Desired], dict[str, Fault], list[Existing]]:
    """Return the models of answers, those seen first first, why others have none, and the models that stay.

    A model stays while its registered hotkey's axon names no other. A branch is pinned to the commit that the operator
    finds for it first: what is pushed later is submitted by another revision. Its block is that of the pass in which
    the commit is known, and not of the name's first sight: a name of another miner's next model can be guessed.
    """
    found: list[Desired] = []
    if settings is None:
        return found, {}, []
    ignored: dict[str, Fault] = {}
    mine: dict[str, Existing] = {e.hotkey: e for e in by_name.values() if e.axon and e.hotkey in uids}
    for hotkey in sorted(uids.keys() & answers.keys()):
        parsed = answers[hotkey]
        if isinstance(parsed, Fault):
            ignored |= {} if hotkey in mine else {hotkey: parsed}
            continue
        name = discovered_model(validator, hotkey, parsed.repo, parsed.revision, SUBMITTED_BY_AXON)
        known = by_name.get(name)
        pinned = _pinned(parsed, known)
        seen = now if known is None or known.block is None or _is_new(pinned, known) else known.block
        found.append(Desired(name, hotkey, uids[hotkey], seen, pinned, axon=True))
    named = {each.hotkey for each in found}
    kept = [each for hotkey, each in sorted(mine.items()) if hotkey not in named]
    found.sort(key=lambda each: (each.block, each.hotkey))
    room = max(0, settings.maximum_models - len(kept))
    text = f"{settings.maximum_models} hotkeys were seen before it: raise maximumModels"
    ignored |= {each.hotkey: Fault(CommitmentFault.OVER_LIMIT, text) for each in found[room:]}
    return found[:room], ignored, kept


def _pinned(submission: CommittedModel, known: Existing | None) -> CommittedModel:
    """Return the submission with the commit that its object has, or that the operator has found for it."""
    if known is None or submission.pinned:
        return submission
    present = replace(submission, revision=str(known.source.get("revision", "")))
    found = replace(submission, revision=known.commit)
    return present if present.pinned else found if found.pinned else submission


def _is_new(submission: CommittedModel, known: Existing) -> bool:
    """Whether the commit of a submission is known now, and was not when its object was written last."""
    return submission.pinned and known.source.get("revision") != submission.revision


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


_UNREADABLE = Fault(CommitmentFault.MALFORMED, "its fields have a form that this version does not know")


def _parsed(commitment: Published | None, settings: CommitmentDiscovery, competitions: Collection[str]) -> Parsed:
    if commitment is None:
        return _UNREADABLE
    if commitment.sealed:
        return Fault(CommitmentFault.SEALED, "it is timelocked, and not open")
    if commitment.big:
        return Fault(CommitmentFault.OVERSIZED, "it has a field for large data, which is not read")
    parsed = parse(
        commitment.content,
        formats=settings.formats,
        allow_branches=settings.allow_branches,
        verify_hash=settings.verify_hash,
    )
    if isinstance(parsed, CommittedModel) and parsed.competition not in (None, *competitions):
        return Fault(
            CommitmentFault.UNKNOWN_COMPETITION, f"the competitions are {', '.join(sorted(competitions))}"[:128]
        )
    return parsed


def _name(validator: str, hotkey: str, submission: CommittedModel) -> str:
    return discovered_model(validator, hotkey, submission.repo, submission.revision, submission.competition or "")


def _keys_of(labels: Mapping[str, str]) -> str:
    return short_hash(*sorted(labels))


def _differs(found: Existing | None, desired: Desired, settings: Discovery, validator: str) -> bool:
    """Whether a MinerModel is to be written. Labels that others have added are left alone.

    The keys of what was written last show a label that the spec has no longer: applying again removes it.
    """
    if found is None or found.block != desired.block:
        return True
    body = manifest(desired, settings, validator=validator)
    labels, spec = body["metadata"]["labels"], body["spec"]
    same = found.labels.items() >= labels.items() and found.label_keys == _keys_of(labels)
    return not (same and found.source == spec["source"]["huggingFace"] and found.miner == spec["miner"])
