"""What one netuid means in the state: neurons, their weights, permits and epochs, over the pallet's own storage items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain.seed import RAO_PER_TOKEN, Neuron, Seed
from bitagent_local.chain.storage import Storage, View

PALLET = "SubtensorModule"
TOKEN_SYMBOL = "τ"


@dataclass(frozen=True)
class NeuronState:
    """One neuron as stored."""

    uid: int
    hotkey: str
    coldkey: str
    stake: int
    permit: bool
    last_update: int
    registered_at: int
    axon: dict[str, Any] | None


class Subnet:
    """Reads of one subnet at one block."""

    def __init__(self, view: View, netuid: int) -> None:
        self.view = view
        self.netuid = netuid

    def get(self, item: str) -> Any:
        """A value of the pallet that is kept per netuid."""
        return self.view.get(PALLET, item, self.netuid)

    @property
    def exists(self) -> bool:
        """Whether there is a subnet of this number."""
        return bool(self.get("NetworksAdded"))

    @property
    def size(self) -> int:
        """How many neurons it has."""
        return int(self.get("SubnetworkN"))

    def uid(self, hotkey: str) -> int | None:
        """The hotkey's position, or ``None`` where it is not registered."""
        uid = self.view.get(PALLET, "Uids", self.netuid, hotkey)
        return None if uid is None else int(uid)

    def hotkey(self, uid: int) -> str:
        """The hotkey at a position."""
        return str(self.view.get(PALLET, "Keys", self.netuid, uid))

    def stake(self, hotkey: str) -> int:
        """The hotkey's stake in rao."""
        return int(self.view.get(PALLET, "TotalHotkeyAlpha", hotkey, self.netuid))

    def neurons(self) -> Iterator[NeuronState]:
        """All neurons by uid."""
        updates, permits = self.get("LastUpdate"), self.get("ValidatorPermit")
        for uid in range(self.size):
            hotkey = self.hotkey(uid)
            yield NeuronState(
                uid=uid,
                hotkey=hotkey,
                coldkey=str(self.view.get(PALLET, "Owner", hotkey)),
                stake=self.stake(hotkey),
                permit=bool(permits[uid]),
                last_update=int(updates[uid]),
                registered_at=int(self.view.get(PALLET, "BlockAtRegistration", self.netuid, uid)),
                axon=self.view.get(PALLET, "Axons", self.netuid, hotkey),
            )

    def weights(self, uid: int) -> dict[int, int]:
        """The row that a neuron has set for the first (here the only) mechanism: u16 by target uid."""
        row = self.view.get(PALLET, "Weights", self.netuid, uid)
        return {int(target): int(value) for target, value in row}

    def next_epoch(self) -> int:
        """The block at which the next epoch runs."""
        return int(self.get("LastEpochBlock")) + int(self.get("Tempo"))


class MutableSubnet(Subnet):
    """Writes to one subnet in the block under construction. Rules are checked by the caller."""

    def __init__(self, storage: Storage, netuid: int) -> None:
        super().__init__(storage, netuid)
        self.storage = storage

    def put(self, item: str, value: Any) -> None:
        """Store a value that the pallet keeps per netuid."""
        self.storage.put(PALLET, item, (self.netuid,), value)

    def replace(self, item: str, uid: int, value: Any) -> None:
        """Change one neuron's place in a list that the pallet keeps per netuid, growing it by one if need be."""
        values = list(self.get(item))
        values[uid : uid + 1] = [value]
        self.put(item, values)

    def create(self, seed: Seed) -> None:
        """Make the subnet with the seed's hyperparameters, without neurons."""
        rules = seed.hyperparameters
        for item, value in {
            "NetworksAdded": True,
            "NetworkRegisteredAt": 0,
            "TokenSymbol": list(TOKEN_SYMBOL.encode()),
            "Tempo": seed.tempo,
            "LastEpochBlock": seed.start_block - 1,
            "MaxAllowedUids": rules.max_allowed_uids,
            "ImmunityPeriod": rules.immunity_period,
            "WeightsSetRateLimit": rules.weights_rate_limit,
            "MinAllowedWeights": rules.min_allowed_weights,
            "MaxWeightsLimit": rules.max_weights_limit,
            "WeightsVersionKey": rules.weights_version,
            "CommitRevealWeightsEnabled": rules.commit_reveal_weights_enabled,
            "RevealPeriodEpochs": 1,
        }.items():
            self.put(item, value)
        self.storage.put(PALLET, "StakeThreshold", (), int(rules.stake_threshold * RAO_PER_TOKEN))

    def register(self, neuron: Neuron, *, block: int) -> int:
        """Give a hotkey its place, or bring what is stored of a registered one in line; returns its uid.

        Raises:
            ValueError: no place is left.
        """
        uid = self.uid(neuron.hotkey)
        if uid is None:
            uid = self.size
            if uid >= int(self.get("MaxAllowedUids")):
                raise ValueError(f"subnet {self.netuid} is full: {uid} neurons")
            self.storage.put(PALLET, "Uids", (self.netuid, neuron.hotkey), uid)
            self.storage.put(PALLET, "Keys", (self.netuid, uid), neuron.hotkey)
            self.storage.put(PALLET, "IsNetworkMember", (neuron.hotkey, self.netuid), True)
            self.storage.put(PALLET, "BlockAtRegistration", (self.netuid, uid), block)
            self.put("SubnetworkN", uid + 1)
            self.replace("LastUpdate", uid, block)
            self.replace("Active", uid, True)
        self.storage.put(PALLET, "Owner", (neuron.hotkey,), neuron.coldkey)
        self.storage.put(PALLET, "TotalHotkeyAlpha", (neuron.hotkey, self.netuid), neuron.rao)
        self.replace("ValidatorPermit", uid, neuron.permit)
        if endpoint := neuron.endpoint():
            address, port = endpoint
            serving = {"version": 1, "ip": int(address), "port": port, "ip_type": address.version, "protocol": 4}
            self.serve(neuron.hotkey, {**serving, "placeholder1": 0, "placeholder2": 0}, block=block)
        if neuron.commitment is not None:
            content = neuron.commitment.encode()
            self.commit(neuron.hotkey, {"fields": [{f"Raw{len(content)}": "0x" + content.hex()}]}, block=block)
        return uid

    def serve(self, hotkey: str, axon: Mapping[str, Any], *, block: int) -> None:
        """Store where a hotkey says that it listens."""
        self.storage.put(PALLET, "Axons", (self.netuid, hotkey), {"block": block, **axon})

    def commit(self, hotkey: str, info: Mapping[str, Any], *, block: int) -> None:
        """Store a hotkey's commitment over its last one."""
        self.storage.put(
            "Commitments", "CommitmentOf", (self.netuid, hotkey), {"deposit": 0, "block": block, "info": info}
        )

    def set_weights(self, uid: int, row: Mapping[int, int], *, block: int) -> None:
        """Store a weight row over its last one, scaled so that the largest is 65535, as the pallet does."""
        largest = max(row.values())
        scaled = [(target, value * 65535 // largest) for target, value in row.items()]
        self.storage.put(PALLET, "Weights", (self.netuid, uid), scaled)
        self.replace("LastUpdate", uid, block)

    def seal_weights(self, uid: int, commit: Any, reveal_round: int, *, block: int) -> None:
        """Queue sealed weights under the current epoch. They stay sealed: revealing them needs drand."""
        epoch = int(self.get("SubnetEpochIndex"))
        params = (self.netuid, epoch)
        queued = list(self.view.get(PALLET, "TimelockedWeightCommits", *params))
        self.storage.put(
            PALLET, "TimelockedWeightCommits", params, [*queued, (self.hotkey(uid), block, commit, reveal_round)]
        )
        self.replace("LastUpdate", uid, block)

    def step(self, block: int) -> None:
        """Begin a block: run the epoch when its time has come."""
        if block >= self.next_epoch():
            self.put("LastEpochBlock", block)
            self.put("SubnetEpochIndex", int(self.get("SubnetEpochIndex")) + 1)
            self.put("BlocksSinceLastStep", 0)
        else:
            self.put("BlocksSinceLastStep", int(self.get("BlocksSinceLastStep")) + 1)
