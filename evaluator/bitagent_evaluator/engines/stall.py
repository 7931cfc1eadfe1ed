"""Liveness of the rewriter's server: `python3 -m bitagent_evaluator.engines.stall --port 8000`, as the kubelet runs it.

Exit code 1 while the server does not answer, or if it has had requests and generated nothing for too long: vLLM's own
health says that the engine's process exists, not that it works. Only the standard library is imported.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

STALL_SECONDS = 300.0
"""Time in which requests run and no token is generated after which the engine counts as stalled."""
TIMEOUT_SECONDS = 10.0
MEMORY = Path("/tmp/stall.json")  # noqa: S108 - the container's own emptyDir
RUNNING = "vllm:num_requests_running"
TOKENS = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total")
_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class EngineProgress:
    """What the engine had done when it last did something, or had nothing to do."""

    tokens: float
    since: float
    """When that was seen, as Unix time."""


def after(before: EngineProgress | None, metrics: str, *, now: float) -> EngineProgress:
    """Return the progress by the server's metrics: as before while it has requests and no token is new."""
    totals = _sums(metrics)
    tokens = sum(totals.get(name, 0.0) for name in TOKENS)
    if before is None or tokens != before.tokens or not totals.get(RUNNING, 0.0):
        return EngineProgress(tokens, now)
    return before


def _sums(metrics: str) -> dict[str, float]:
    """Return the sum of the samples of each metric, over all of its labels."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(metrics):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


def read(port: int, path: str) -> str:
    """Return what the server answers. Raises OSError if it does not, or with another code than 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(f"{path}: {error!r}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise OSError(f"{path} answers {response.status}")
    return text


def remembered(path: Path) -> EngineProgress | None:
    """Return the progress that the last probe has written; None if there is none that can be read."""
    try:
        return EngineProgress(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def main(argv: list[str] | None = None) -> int:
    """Probe once. Returns the exit code: 0 alive, 1 not."""
    parser = argparse.ArgumentParser(prog="python3 -m bitagent_evaluator.engines.stall")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--memory", type=Path, default=MEMORY, help="file in which probes leave what they have seen")
    options = parser.parse_args(argv)
    now = time.time()
    try:
        read(options.port, "/health")
        progress = after(remembered(options.memory), read(options.port, "/metrics"), now=now)
        options.memory.write_text(json.dumps(asdict(progress)))
    except OSError as error:
        sys.stderr.write(f"the server does not answer: {error}\n")
        return 1
    if now - progress.since >= STALL_SECONDS:
        sys.stderr.write(f"the engine has requests and has generated nothing for {now - progress.since:.0f} s\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
