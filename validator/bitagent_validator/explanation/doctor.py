"""`bitagent-validator doctor`: what keeps a Validator from setting weights, by looking at everything it depends on.

It changes nothing, and sends nothing to the chain but reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bitagent_crds.validator import ValidatorSpec, WeightsMode
from bitagent_kube.client import Client
from bitagent_validator.chain.agreement import AHEAD_BLOCKS, Claim, agree
from bitagent_validator.chain.connection import ChainUnavailable, SubnetNotFound, connect
from bitagent_validator.chain.endpoints import secret_endpoints
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.follower import SKEW_SECONDS
from bitagent_validator.explanation.beside import look_beside
from bitagent_validator.explanation.explain import validator_of
from bitagent_validator.explanation.findings import Finding
from bitagent_validator.wallet import load_hotkey
from bitagent_validator.weights.fill import burn_target
from bitagent_validator.weights.notes import sent_version_key
from bitagent_validator.weights.obstacles import mechanism_problem, permit_problem
from bitagent_validator.weights.plan import refresh_blocks
from bitagent_wire.hotkey_file import HotkeyFileError
from bitagent_wire.redaction import shown


@dataclass(frozen=True)
class Look:
    """What one endpoint answers."""

    endpoint: str
    problem: str = ""
    genesis: str = ""
    finalized: int = 0
    stamp: float | None = None
    """The time of that block, in seconds since the Unix epoch."""
    slot_seconds: float = 12.0
    age: float | None = None
    """Age of the newest block by this machine's clock, in seconds."""
    subnet: Subnet | None = None
    """None if the chain has no such subnet."""


async def examine(client: Client, name: str, *, hotkey_file: Path | None, endpoints_file: Path) -> list[Finding]:
    """Return what was found about a Validator. Raises ApiError if it cannot be read."""
    me, spec = await validator_of(client, name)
    found, hotkey = [], str(me.status.get("hotkey") or "")
    if hotkey_file is not None:
        try:
            hotkey = str(load_hotkey(hotkey_file).ss58_address)
            found.append(Finding(True, f"the file holds hotkey {hotkey}"))
        except HotkeyFileError as error:
            found.append(Finding(False, str(error)))
    try:
        endpoints = [*secret_endpoints(endpoints_file), *spec.chain.endpoints]
    except ValueError as error:
        found.append(Finding(False, str(error)))
        endpoints = list(spec.chain.endpoints)
    looks = [await _look(endpoint, spec, hotkey) for endpoint in endpoints]
    return [*found, *findings(spec, looks, hotkey=hotkey), *await look_beside(spec, me.status)]


async def _look(endpoint: str, spec: ValidatorSpec, hotkey: str) -> Look:
    try:
        async with connect(endpoint) as connection:
            claim, age = await connection.claim(), await connection.head_age()
            block = claim.height if claim else 0
            known = Look(
                connection.endpoint,
                genesis=connection.genesis,
                finalized=block,
                stamp=claim.stamp if claim else None,
                slot_seconds=connection.block_seconds,
                age=age,
            )
            try:
                mechanisms = spec.mechanisms
                subnet = await connection.subnet(spec.netuid, hotkey=hotkey, block=block, mechanisms=mechanisms)
            except SubnetNotFound:
                return known
            return replace(known, subnet=subnet)
    except ChainUnavailable as error:
        return Look(shown(endpoint), problem=str(error))


def findings(spec: ValidatorSpec, looks: Sequence[Look], *, hotkey: str) -> list[Finding]:
    """Return what follows from the answers of the endpoints. Pure."""
    found = [_of_endpoint(spec, look, looks) for look in looks]
    if len(looks) < 2:
        found.append(Finding(False, "only one endpoint: give another in spec.chain.endpoints, or nothing replaces it"))
    subnet = next((look.subnet for look in looks if look.subnet is not None), None)
    if subnet is None:
        if any(not look.problem for look in looks):
            found.append(Finding(False, f"the chain has no subnet {spec.netuid}: correct spec.netuid"))
        return found
    if not hotkey:
        found.append(Finding(False, "the hotkey is not known: the pod has not started, and no --hotkey-file is given"))
        return found
    return [*found, *_of_account(spec, subnet, hotkey)]


def _of_endpoint(spec: ValidatorSpec, look: Look, looks: Sequence[Look]) -> Finding:
    if look.problem:
        return Finding(False, look.problem)
    genesis = next(each.genesis for each in looks if not each.problem)
    highest = max(each.finalized for each in looks if each.genesis == look.genesis)
    text = f"{look.endpoint} answers: block {look.finalized} is final"
    if look.genesis != genesis:
        return Finding(False, f"{look.endpoint} is of another chain than the first endpoint that answers")
    if others := [each.endpoint for each in looks if _contradicts(look, each)]:
        return Finding(False, f"{text}, which contradicts {', '.join(others)}: remove the one that is wrong")
    if highest - look.finalized > AHEAD_BLOCKS:
        return Finding(False, f"{text}, and another endpoint is at {highest}: the node is behind")
    if look.age is not None and look.age > spec.chain.maximum_lag_seconds:
        return Finding(False, f"{text}, and its newest block is {look.age:.0f} s old: node behind, or clock wrong")
    if look.age is not None and look.age < -SKEW_SECONDS:
        return Finding(False, f"{text}, which is {-look.age:.0f} s in the future: set this machine's clock (NTP)")
    return Finding(True, text)


def _contradicts(one: Look, other: Look) -> bool:
    """Whether the last blocks of two endpoints cannot be of one chain, by their heights and times."""
    if one.problem or other.problem or one.genesis != other.genesis or one.stamp is None or other.stamp is None:
        return False
    claims = Claim(one.finalized, one.stamp), Claim(other.finalized, other.stamp)
    return not agree(*claims, slot_seconds=one.slot_seconds)


def _of_account(spec: ValidatorSpec, subnet: Subnet, hotkey: str) -> list[Finding]:
    me = subnet.me
    if me is None:
        return [Finding(False, f"hotkey {hotkey} is not registered on subnet {subnet.netuid}")]
    found = [Finding(True, f"hotkey {hotkey} is registered as uid {me.uid}")]
    problem = permit_problem(subnet, me)
    found.append(Finding(problem is None, problem.message if problem else "it may set weights"))
    key, needed = sent_version_key(spec.weights, subnet.rules.version_key), subnet.rules.version_key
    found.append(Finding(key >= needed, f"version key {key} is sent, and the subnet requires {needed}"))
    target = burn_target(spec.weights.burn, subnet)
    found.append(Finding(not target.problem, target.problem or f"what is burnt goes to {target.hotkey}"))
    found += [_of_mechanism(subnet, mechanism) for mechanism in spec.mechanisms]
    mode = spec.weights.mode
    found.append(
        Finding(mode is WeightsMode.SET and not spec.suspend, f"weights.mode is {mode}, suspend {spec.suspend}")
    )
    return found


def _of_mechanism(subnet: Subnet, mechanism: int) -> Finding:
    """Return when the weights of a mechanism were set last; each has a last update of its own."""
    if problem := mechanism_problem(subnet, mechanism):
        return Finding(False, problem.message)
    me = subnet.on(mechanism).me
    last = me.last_update if me else 0
    age = subnet.block - last
    left = max(0, subnet.rules.activity_cutoff - age)
    text = f"weights of mechanism {mechanism} were last set at block {last}, {age} blocks ago; "
    text += f"the chain ignores them in {left} blocks" if left else "the chain ignores them"
    return Finding(age < 2 * refresh_blocks(subnet), text)
