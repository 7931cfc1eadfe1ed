"""Prometheus metrics of one validator. Names contain the unit; ages are in blocks, as the chain's limits are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """All metrics, in a separate registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        gauge, counter = self._gauge, self._counter
        self.lease_held = gauge("lease_held", "1 while this pod may act for its hotkey")
        self.chain_connected = gauge("chain_connected", "1 while the chain answers and its blocks advance")
        self.chain_reconnects = counter("chain_reconnects", "Connections to the chain that were lost")
        self.finalized_block = gauge("finalized_block", "Last finalised block seen")
        self.registered = gauge("registered", "1 while the hotkey is registered on the subnet")
        self.permitted = gauge("permitted", "1 while the hotkey may set weights")
        self.weights_current = gauge(
            "weights_current", "1 while the chain holds the weights of the last complete rounds"
        )
        self.last_weights_block = gauge("last_weights_block", "Block at which the hotkey last set weights")
        self.weights_age_blocks = gauge("weights_age_blocks", "Blocks since the hotkey last set weights")
        self.paid_hotkeys = gauge("paid_hotkeys", "Hotkeys with a weight above 0 in the last computed weights")
        self.unpaid_hotkeys = gauge(
            "unpaid_hotkeys", "Hotkeys with a model that earn nothing by a competition", ["competition", "reason"]
        )
        self.round_epoch = gauge("round_epoch", "Epoch of the latest round", ["competition"])
        self.rounds_behind_epochs = gauge(
            "rounds_behind_epochs", "Epochs between the latest round and the present epoch", ["competition"]
        )
        self.rounds = counter("rounds", "Rounds created and completed", ["competition", "outcome"])
        self.submissions = counter("submissions", "Submissions of weights by outcome", ["outcome"])
        self.submission_seconds = Histogram(
            "bitagent_validator_submission_seconds",
            "Duration of the submitting process",
            buckets=(1, 2, 5, 10, 20, 40, 80, 160, 320, 640),
            registry=self.registry,
        )
        self.passes = counter("passes", "Passes of the loop by outcome", ["outcome"])

    def _gauge(self, name: str, text: str, labels: list[str] | None = None) -> Gauge:
        return Gauge(f"bitagent_validator_{name}", text, labels or [], registry=self.registry)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"bitagent_validator_{name}", text, labels or [], registry=self.registry)
