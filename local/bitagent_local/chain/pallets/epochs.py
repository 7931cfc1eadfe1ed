"""The epoch of a subnet over the state: what Yuma decides is stored, and may be paid into stake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bitagent_local.chain.pallets import yuma
from bitagent_local.chain.pallets.commit_reveal import oldest_commits
from bitagent_local.chain.subnet import PALLET, MutableSubnet

RAO_PER_BLOCK = 820_000_000
"""What a subnet's neurons earn in a block: one token less the owner's 18 %."""
EQUAL_SPLIT = 1.0


def run(subnet: MutableSubnet, *, block: int, held_permits: Mapping[str, bool], pay: bool) -> None:
    """Run the epoch of each mechanism and begin the next one.

    ``held_permits`` are permits, by hotkey, that a test holds against the stake. With ``pay`` the emission is added to
    the stake of each hotkey.
    """
    since = block - int(subnet.get("LastMechansimStepBlock"))
    emission = RAO_PER_BLOCK * max(1, min(since, int(subnet.get("Tempo"))))
    shares = _split(subnet)
    results = [
        _mechanism(subnet, mechanism, round(emission * share), block=block) for mechanism, share in enumerate(shares)
    ]
    hotkeys = [subnet.hotkey(uid) for uid in range(subnet.size)]
    _store(subnet, results, shares, emission=emission)
    permits = [held_permits.get(hotkey, chosen) for hotkey, chosen in zip(hotkeys, results[0].permits, strict=True)]
    subnet.put("ValidatorPermit", permits)
    if pay:
        for uid, hotkey in enumerate(hotkeys):
            earned = sum(
                round(emission * share * (result.server_emission[uid] + result.validator_emission[uid]))
                for result, share in zip(results, shares, strict=True)
            )
            params = (hotkey, subnet.netuid)
            subnet.storage.put(PALLET, "TotalHotkeyAlpha", params, subnet.stake(hotkey) + earned)
    subnet.put("LastMechansimStepBlock", block)
    subnet.put("LastEpochBlock", block)
    subnet.put("PendingEpochAt", 0)
    subnet.put("SubnetEpochIndex", int(subnet.get("SubnetEpochIndex")) + 1)
    subnet.put("BlocksSinceLastStep", 0)


def permits_by_stake(subnet: MutableSubnet) -> list[bool]:
    """Return the permits that the next epoch would give."""
    stake = [subnet.stake(subnet.hotkey(uid)) for uid in range(subnet.size)]
    threshold, owner = int(subnet.view.get(PALLET, "StakeThreshold")), subnet.owner_uid()
    counted = [0 if value < threshold and uid != owner else value for uid, value in enumerate(stake)]
    chosen = yuma.top(yuma.normalize(counted), int(subnet.get("MaxAllowedValidators")))
    return [permit or uid == owner for uid, permit in enumerate(chosen)]


def _split(subnet: MutableSubnet) -> list[float]:
    """Return each mechanism's share of the emission."""
    count, stored = subnet.mechanisms, subnet.get("MechanismEmissionSplit")
    if stored and len(stored) == count and sum(stored):
        return [int(value) / sum(stored) for value in stored]
    return [EQUAL_SPLIT / count] * count


def _mechanism(subnet: MutableSubnet, mechanism: int, emission: int, *, block: int) -> yuma.Result:
    """Run one mechanism's epoch, and store its incentives and bonds."""
    result = yuma.epoch(_input(subnet, mechanism, block=block))
    subnet.put_of_mechanism("Incentive", mechanism, _u16(result.incentive))
    for uid, row in enumerate(result.bonds):
        stored = {target: round(value * yuma.U16) for target, value in row.items()}
        subnet.put_row("Bonds", uid, {target: value for target, value in stored.items() if value}, mechanism=mechanism)
    return result


def _input(subnet: MutableSubnet, mechanism: int, *, block: int) -> yuma.Input:
    uids, sealed = range(subnet.size), bool(subnet.get("CommitRevealWeightsEnabled"))
    hotkeys = [subnet.hotkey(uid) for uid in uids]
    commits = oldest_commits(subnet, mechanism=mechanism, block=block) if sealed else {}
    last_step, tempo = int(subnet.get("LastMechansimStepBlock")), int(subnet.get("Tempo"))
    return yuma.Input(
        block=block,
        stake=[subnet.stake(hotkey) for hotkey in hotkeys],
        permits=[bool(permit) for permit in subnet.get("ValidatorPermit")],
        last_update=[subnet.last_update(uid, mechanism=mechanism) for uid in uids],
        registered_at=[subnet.registered_at(uid) for uid in uids],
        weights=[subnet.weights(uid, mechanism=mechanism) for uid in uids],
        bonds=[subnet.row("Bonds", uid, mechanism=mechanism) for uid in uids],
        commit_blocks=[commits.get(hotkey) for hotkey in hotkeys],
        owner=subnet.owner_uid(),
        bonds_since=last_step + 1 if last_step else max(0, block - tempo),
        stake_threshold=int(subnet.view.get(PALLET, "StakeThreshold")),
        activity_cutoff=subnet.activity_cutoff(),
        max_validators=int(subnet.get("MaxAllowedValidators")),
        kappa=int(subnet.get("Kappa")) / yuma.U16,
        bonds_moving_average=int(subnet.get("BondsMovingAverage")) / 1_000_000,
        bonds_penalty=int(subnet.get("BondsPenalty")) / yuma.U16,
    )


def _store(subnet: MutableSubnet, results: Sequence[yuma.Result], shares: Sequence[float], *, emission: int) -> None:
    """Store what is kept for the netuid: the mechanisms' results, weighted by their shares of the emission."""

    def mixed(name: str) -> list[float]:
        columns = zip(*(getattr(result, name) for result in results), strict=True)
        return [sum(value * share for value, share in zip(column, shares, strict=True)) for column in columns]

    activity = zip(*(result.active for result in results), strict=True)
    subnet.put("Active", [any(column) for column in activity])
    subnet.put("Emission", [int(emission * share) for share in mixed("emission")])
    for item, name in (
        ("Consensus", "consensus"),
        ("Dividends", "dividends"),
        ("ValidatorTrust", "validator_trust"),
        ("StakeWeight", "stake"),
    ):
        subnet.put(item, _u16(mixed(name)))


def _u16(shares: Sequence[float]) -> list[int]:
    return [min(yuma.U16, round(share * yuma.U16)) for share in shares]
