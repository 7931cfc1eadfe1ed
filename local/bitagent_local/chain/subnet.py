"""One subnet in the state: neurons, weights, permits and epochs, over the pallet's own storage items."""

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
        """Return a value that the pallet stores for each netuid."""
        return self.view.get(PALLET, item, self.netuid)

    @property
    def exists(self) -> bool:
        """Whether there is a subnet of this number."""
        return bool(self.get("NetworksAdded"))

    @property
    def size(self) -> int:
        """The number of neurons."""
        return int(self.get("SubnetworkN"))

    def uid(self, hotkey: str) -> int | None:
        """Return the hotkey's uid, or ``None`` if it is not registered."""
        uid = self.view.get(PALLET, "Uids", self.netuid, hotkey)
        return None if uid is None else int(uid)

    def hotkey(self, uid: int) -> str:
        """Return the hotkey of a uid."""
        return str(self.view.get(PALLET, "Keys", self.netuid, uid))

    def stake(self, hotkey: str) -> int:
        """Return the hotkey's stake in rao."""
        return int(self.view.get(PALLET, "TotalHotkeyAlpha", hotkey, self.netuid))

    def neurons(self) -> Iterator[NeuronState]:
        """Yield all neurons by uid."""
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
        """Return a neuron's weights of the first (here the only) mechanism: u16 by target uid."""
        row = self.view.get(PALLET, "Weights", self.netuid, uid)
        return {int(target): int(value) for target, value in row}

    def next_epoch(self) -> int:
        """Return the block of the next epoch."""
        return int(self.get("LastEpochBlock")) + int(self.get("Tempo"))


class MutableSubnet(Subnet):
    """Writes to one subnet in the block under construction; callers check the rules."""

    def __init__(self, storage: Storage, netuid: int) -> None:
        super().__init__(storage, netuid)
        self.storage = storage

    def put(self, item: str, value: Any) -> None:
        """Store a value that the pallet stores for each netuid."""
        self.storage.put(PALLET, item, (self.netuid,), value)

    def replace(self, item: str, uid: int, value: Any) -> None:
        """Set one neuron's entry in a list that the pallet stores for each netuid; a new entry may be appended."""
        values = list(self.get(item))
        values[uid : uid + 1] = [value]
        self.put(item, values)

    def create(self, seed: Seed) -> None:
        """Create the subnet with the seed's hyperparameters, without neurons."""
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
        """Register a hotkey, or update a registered one; return its uid. Raises ValueError if the subnet is full."""
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
        """Store the endpoint of a hotkey."""
        self.storage.put(PALLET, "Axons", (self.netuid, hotkey), {"block": block, **axon})

    def commit(self, hotkey: str, info: Mapping[str, Any], *, block: int) -> None:
        """Store a hotkey's commitment in place of its last one."""
        self.storage.put(
            "Commitments", "CommitmentOf", (self.netuid, hotkey), {"deposit": 0, "block": block, "info": info}
        )

    def set_weights(self, uid: int, row: Mapping[int, int], *, block: int) -> None:
        """Store a weight row in place of the last one, scaled so that the largest is 65535, as the pallet does."""
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
        """Begin a block; run the epoch if it is due."""
        if block >= self.next_epoch():
            self.put("LastEpochBlock", block)
            self.put("SubnetEpochIndex", int(self.get("SubnetEpochIndex")) + 1)
            self.put("BlocksSinceLastStep", 0)
        else:
            self.put("BlocksSinceLastStep", int(self.get("BlocksSinceLastStep")) + 1)
