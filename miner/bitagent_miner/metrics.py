"""The miner's metrics. docs/mining.md lists them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)


class Metrics:
    """All metrics of one miner, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix: Any = {"namespace": "bitagent", "subsystem": "miner", "registry": self.registry}
        self.requests = Counter(
            "requests",
            "Requests by message, wire and result: Answered, or why not",
            ["message", "wire", "result"],
            **prefix,
        )
        self.request_seconds = Histogram(
            "request_seconds",
            "Time to an answer, of requests that were answered",
            ["message"],
            buckets=_SECONDS,
            **prefix,
        )
        self.waiting = Gauge("waiting_requests", "Requests that wait for the model", **prefix)
        self.connections = Gauge("connections", "Open connections of callers", **prefix)
        self.refused_connections = Counter(
            "refused_connections", "Connections beyond the limit of their address, or of all", **prefix
        )
        self.model_requests = Counter(
            "model_requests", "Requests to the model's endpoint by result", ["result"], **prefix
        )
        self.model_seconds = Histogram("model_seconds", "Time of the model's endpoint", buckets=_SECONDS, **prefix)
        self.tokens = Counter("tokens", "Tokens as the endpoint counts them: prompt and answer", ["kind"], **prefix)
        self.feedback = Counter("feedback", "Feedback from validators that was printed", **prefix)
        self.chain_read = Gauge("chain_read_timestamp_seconds", "When the chain was read last", **prefix)
        self.chain_failures = Counter("chain_failures", "Readings of the chain that failed", **prefix)
        self.registered = Gauge("registered", "Whether the hotkey is registered on the subnet", **prefix)
        self.incentive = Gauge("incentive", "The hotkey's part of the subnet's incentive, 0 to 1", **prefix)
        self.announced = Gauge("announced", "Whether the chain has the address that this miner announces", **prefix)
