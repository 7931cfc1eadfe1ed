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
        self.contradicting_endpoints = gauge(
            "contradicting_endpoints", "Other endpoints whose height contradicts that of the one that is used"
        )
        self.finalized_block = gauge("finalized_block", "Last finalised block seen")
        self.registered = gauge("registered", "1 while the hotkey is registered on the subnet")
        self.permitted = gauge("permitted", "1 while the hotkey may set weights")
        self.weights_current = gauge(
            "weights_current", "1 while the chain holds the weights of the last complete rounds"
        )
        self.sets_weights = gauge(
            "sets_weights", "1 while the spec lets it set weights: mode Set, and not suspended; 0 in DryRun and Off"
        )
        self.foreign_weights = gauge(
            "foreign_weights", "1 while another process sets weights for this hotkey; this one then sets none"
        )
        self.last_weights_block = gauge(
            "last_weights_block", "Block at which the hotkey last set weights; of several mechanisms that of the oldest"
        )
        self.weights_age_blocks = gauge(
            "weights_age_blocks", "Blocks since the hotkey last set weights; of several mechanisms the most"
        )
        self.paid_hotkeys = gauge("paid_hotkeys", "Hotkeys with a weight above 0 in the last computed weights")
        self.unpaid_hotkeys = gauge(
            "unpaid_hotkeys", "Hotkeys with a model that earn nothing by a competition", ["competition", "reason"]
        )
        self.frozen = gauge(
            "frozen", "1 while the chain is not read: the gauges about the chain are those of the last reading then"
        )
        self.chain_age_seconds = gauge(
            "chain_age_seconds",
            "Age of the node's newest block by this machine's clock; below 0 if the clock is behind",
        )
        self.blocks_until_inactive = gauge(
            "blocks_until_inactive", "Blocks until the chain ignores the validator, unless it sets weights before"
        )
        self.dividends = gauge("dividends_ratio", "Dividends of the hotkey in the last epoch, from 0 to 1")
        self.validator_trust = gauge("validator_trust_ratio", "Validator trust in the last epoch, from 0 to 1")
        self.stake = gauge("stake_tokens", "Stake of the hotkey on the subnet")
        self.coldkey_balance = gauge(
            "coldkey_balance_tokens", "Free balance of the coldkey that owns the hotkey, which pays the fees"
        )
        self.reveals = counter("reveals", "Sealed rows by outcome: Revealed or Missed", ["outcome"])
        self.last_whole_pass = gauge(
            "last_whole_pass_timestamp_seconds", "Time of the last pass of which every part succeeded"
        )
        self.part_failures = counter("part_failures", "Parts of passes that failed", ["part"])
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
        self.discovered_models = gauge("discovered_models", "MinerModels that commitments and axons call for")
        self.models_deleted = counter(
            "models_deleted",
            "MinerModels of discovery that were deleted, by reason: Deregistered; or Withdrawn, if the hotkey submits "
            "another model or none",
            ["reason"],
        )
        self.ignored_commitments = gauge(
            "ignored_commitments", "Registered hotkeys whose commitment or axon has no MinerModel", ["reason"]
        )
        self.online_steps = counter(
            "online_steps", "Steps of online evaluation: Counted, or why not wholly", ["competition", "outcome"]
        )
        self.online_answers = counter(
            "online_answers", "Miners of such steps by what became of them", ["competition", "outcome"]
        )
        self.online_answer_seconds = Histogram(
            "bitagent_validator_online_answer_seconds",
            "Time from a question to the end of a miner's answer",
            buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120),
            registry=self.registry,
        )
        self.online_problem = gauge(
            "online_problem", "1 while online evaluation stands still, by the reason of OnlineCurrent", ["reason"]
        )
        self.online_step_block = gauge("online_step_block", "Block of the last step that counted", ["competition"])
        self.online_miners = gauge("online_miners", "Hotkeys with an average of online scores", ["competition"])
        self.online_left_out = gauge(
            "online_left_out", "Registered hotkeys that are never asked", ["competition", "reason"]
        )
        self.transcripts_dropped = counter("transcripts_dropped", "Transcripts of steps that were not written")
        self.tracking_rows_dropped = counter(
            "tracking_rows_dropped", "Lines for Weights & Biases that were not sent, as it was missing, slow or down"
        )
        self.axon_answers = counter("axon_answers", "Axons asked for their model, by what came of it", ["outcome"])
        self.passes = counter("passes", "Passes of the loop by outcome", ["outcome"])
        for outcome in ("Revealed", "Missed"):  # an increase from nothing to 1 is none for Prometheus
            self.reveals.labels(outcome)
        for reason in ("Deregistered", "Withdrawn"):
            self.models_deleted.labels(reason)

    def _gauge(self, name: str, text: str, labels: list[str] | None = None) -> Gauge:
        return Gauge(f"bitagent_validator_{name}", text, labels or [], registry=self.registry)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"bitagent_validator_{name}", text, labels or [], registry=self.registry)
