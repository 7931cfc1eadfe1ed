"""The plan of discovery: which MinerModels to write and to delete, by what was found and by those that exist. Pure.

One model for each registered hotkey: that of its commitment on the chain, or else what its axon answers. Other content
of a hotkey is another submission with another name, and the block at which it was first seen stays with its object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bitagent_crds.discovery import AxonDiscovery, CommitmentDiscovery, CommitmentFault, Discovery
from bitagent_crds.names import SUBMITTED_BY_AXON, discovered_model
from bitagent_validator.chain.agreement import AHEAD_BLOCKS
from bitagent_validator.chain.published import Published
from bitagent_validator.discovery.commitments import CommittedModel, Fault, Parsed, parse
from bitagent_validator.discovery.models import Desired, Existing, differs


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
    unconfirmed: Collection[str] = (),
) -> DiscoveryPlan:
    """Return what to do.

    `uids` has the registered hotkeys, `published` the commitments by hotkey, `answers` what their axons have answered
    up to `block`, and `needed` the names of the models in running rounds: of a registered hotkey these stay until the
    round ends. A hotkey without a slot keeps none. The models of a source that is off are left alone. Of `unsure`
    hotkeys `published` may lack a commitment that the chain has: the models of theirs stay for now. Those of
    `unconfirmed` hotkeys one endpoint of several alone has said: blocks that are seen first then are marked, and
    replaced by what is read when another endpoint says the same.
    """
    by_name = {each.name: each for each in existing if _is_on(settings, axon=each.axon)}
    models, ignored = _of_commitments(
        settings.commitments, validator, competitions, uids, published, by_name, unconfirmed
    )
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
        write=tuple(each for each in models if differs(by_name.get(each.name), each, settings, validator)),
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
    unconfirmed: Collection[str],
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
        block, marked = _first_sight(by_name.get(name), commitment.block, alone=hotkey in unconfirmed)
        found.append(Desired(name, hotkey, uids[hotkey], block, parsed, unconfirmed=marked))
    found.sort(key=lambda each: (each.block, each.hotkey))
    models, others = found[: settings.maximum_models], found[settings.maximum_models :]
    text = f"{settings.maximum_models} hotkeys have committed before it: raise maximumModels"
    ignored |= {each.hotkey: Fault(CommitmentFault.OVER_LIMIT, text) for each in others}
    return models, ignored


def _first_sight(known: Existing | None, block: int, *, alone: bool) -> tuple[int, bool]:
    """Return the block of the first sight of content that the chain has since `block`, and whether it is unconfirmed.

    The same content committed again moves the chain's block, so that an earlier one that is known stays; but not one
    that an endpoint alone has said, which may have invented it, and no such one replaces what others have confirmed.
    """
    if known is None or known.block is None:
        return block, alone
    if known.unconfirmed != alone:
        return (known.block if alone else block), False
    return min(known.block, block), known.unconfirmed


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
    the commit is known, and not of the name's first sight: a name of another miner's next model can be guessed. One
    that is still to come was seen at a height that is not believed any more, and would be later than all others.
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
        seen = now if seen > now + AHEAD_BLOCKS else seen
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
