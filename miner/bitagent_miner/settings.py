"""The settings of a serving miner: flags, each with an environment variable as its default."""

from __future__ import annotations

import argparse
import ipaddress
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitagent_miner.admission import Callers, Rules
from bitagent_miner.endpoint import EndpointSettings
from bitagent_miner.following import Address
from bitagent_miner.handlers import Names
from bitagent_miner.prompting import ToolMode
from bitagent_miner.submissions import BadSubmission, named
from bitagent_wire.hotkey_file import DEFAULT_FILE
from bitagent_wire.keys import valid_hotkey

PREFIX = "BITAGENT_MINER_"
KEY_VARIABLE = f"{PREFIX}MODEL_KEY"
"""The endpoint's key; no flag, because flags are seen by others."""
ENDPOINTS = "wss://entrypoint-finney.opentensor.ai:443,wss://lite.chain.opentensor.ai:443"
KEY_BYTES_MAX = 4096


class BadSettings(Exception):
    """Settings that do not fit together, or a value that cannot be."""


@dataclass(frozen=True)
class Settings:
    """The configuration of one serving process."""

    hotkey_file: Path
    netuid: int
    endpoints: tuple[str, ...]
    model: EndpointSettings
    names: Names
    rules: Rules
    host: str = "0.0.0.0"  # noqa: S104 - validators come from anywhere
    port: int = 8091
    address: Address | None = None
    """What is announced; None: nothing."""
    timeout_seconds: float = 12.0
    parallel: int = 4
    queue: int = 64
    rate_per_minute: float = 60.0
    connections: int = 128
    """Of one address at once, 0 for any number. The 64 validators of a subnet may reach the miner by one address, that
    of a proxy or a node of the cluster, with a connection on each wire."""
    total_connections: int = 512
    """Of all addresses at once, 0 for any number: a process often has 1,024 open files."""
    refresh_seconds: float = 120.0
    operations_port: int = 8080
    drain_seconds: float = 15.0


class Flags:
    """Adds flags whose default is an environment variable: `--max-tokens` is BITAGENT_MINER_MAX_TOKENS.

    No flag may be `--port`: Kubernetes sets BITAGENT_MINER_PORT for a Service named bitagent-miner.
    """

    def __init__(self, parser: argparse.ArgumentParser, environment: Mapping[str, str] | None = None) -> None:
        self._parser = parser
        self._environment = os.environ if environment is None else environment

    def add(self, flag: str, *, default: object = None, about: str, **more: object) -> None:
        """Add a flag."""
        variable = PREFIX + flag.removeprefix("--").replace("-", "_").upper()
        shown = f" (default {default}, or {variable})" if default not in (None, "") else f" (or {variable})"
        given = self._environment.get(variable, default)
        self._parser.add_argument(flag, default=given, help=about + shown, **more)  # type: ignore[arg-type]


def add_hotkey(flags: Flags) -> None:
    """Add the flag of the hotkey file."""
    flags.add("--hotkey-file", type=Path, default=str(DEFAULT_FILE), about="the hotkey file, unencrypted")


def add_chain(flags: Flags) -> None:
    """Add the flags of the chain."""
    flags.add("--netuid", type=int, default=20, about="number of the subnet")
    flags.add("--chain-endpoint", default=ENDPOINTS, about="nodes of the chain with commas between, tried in turn")


def add_serving(flags: Flags) -> None:
    """Add the flags of `serve`."""
    add_hotkey(flags)
    add_chain(flags)
    flags.add("--model-url", about="OpenAI-compatible endpoint with its version, such as http://127.0.0.1:8000/v1")
    flags.add("--model", about="the model's name at the endpoint")
    flags.add("--model-key-file", type=Path, about=f"file with the endpoint's key; or the key itself in {KEY_VARIABLE}")
    flags.add("--max-tokens", type=int, default=256, about="tokens of an answer at most")
    flags.add("--temperature", type=float, default=0.0, about="sampling temperature")
    flags.add("--tools", choices=list(ToolMode), type=ToolMode, default="prompt", about="how the model learns of tools")
    flags.add("--submit", about="the model that is submitted, OWNER/NAME or OWNER/NAME@COMMIT, for GetHFModelName")
    flags.add("--run-model", about="the model's name for validators; without it --model")
    flags.add("--listen-address", default="0.0.0.0", about="address to listen on")  # noqa: S104
    flags.add("--listen-port", type=int, default=8091, about="port to listen on")
    flags.add("--announce", about="write ADDRESS or ADDRESS:PORT to the chain; an IPv6 address with a port in brackets")
    flags.add("--callers", choices=list(Callers), type=Callers, default="permit", about="who may ask")
    flags.add("--minimum-stake", type=float, default=0.0, about="stake in TAO that a caller needs")
    flags.add("--allow", default="", about="hotkeys with commas between that may ask in any case")
    flags.add("--deny", default="", about="hotkeys with commas between that may not ask")
    flags.add("--timeout", type=float, default=12.0, about="seconds for an answer, waiting included")
    flags.add("--parallel", type=int, default=4, about="requests at the endpoint at once")
    flags.add("--queue", type=int, default=64, about="requests that wait at most, those with most stake first")
    flags.add("--rate", type=float, default=60.0, about="requests of one hotkey in a minute")
    flags.add("--connections", type=int, default=128, about="connections of one address at once; 0: any number")
    flags.add("--total-connections", type=int, default=512, about="connections of all addresses; 0: any number")
    flags.add("--refresh", type=float, default=120.0, about="seconds between two readings of the chain")
    flags.add("--operations-port", type=int, default=8080, about="port of /healthz, /readyz and /metrics")


def settings(options: argparse.Namespace, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings. Raises BadSettings."""
    environment = os.environ if environment is None else environment
    for flag in ("model_url", "model"):
        if not getattr(options, flag):
            raise BadSettings(f"--{flag.replace('_', '-')} is missing")
    if not options.model_url.startswith(("http://", "https://")):
        raise BadSettings("--model-url is not an http address")
    for flag in ("max_tokens", "timeout", "parallel", "rate", "refresh"):
        if not (math.isfinite(getattr(options, flag)) and getattr(options, flag) > 0):
            raise BadSettings(f"--{flag.replace('_', '-')} must be more than 0")
    if min(options.queue, options.connections, options.total_connections) < 0 or not options.minimum_stake >= 0:
        flags = "--queue, --connections, --total-connections and --minimum-stake"
        raise BadSettings(f"{flags} must not be negative")
    model = EndpointSettings(
        url=options.model_url,
        model=options.model,
        key=_key(options.model_key_file, environment),
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        mode=options.tools,
    )
    return Settings(
        hotkey_file=options.hotkey_file,
        netuid=options.netuid,
        endpoints=endpoints(options.chain_endpoint),
        model=model,
        names=Names(submitted=_submitted(options.submit), running=options.run_model or options.model),
        rules=Rules(options.callers, options.minimum_stake, _hotkeys(options.allow), _hotkeys(options.deny)),
        host=options.listen_address,
        port=options.listen_port,
        address=address(options.announce, options.listen_port) if options.announce else None,
        timeout_seconds=options.timeout,
        parallel=options.parallel,
        queue=options.queue,
        rate_per_minute=options.rate,
        connections=options.connections,
        total_connections=options.total_connections,
        refresh_seconds=options.refresh,
        operations_port=options.operations_port,
    )


def endpoints(text: str) -> tuple[str, ...]:
    """Return the nodes of the chain. Raises BadSettings."""
    found = tuple(each.strip() for each in text.split(",") if each.strip())
    if not found or not all(each.startswith(("ws://", "wss://")) for each in found):
        raise BadSettings("--chain-endpoint needs addresses that begin with ws:// or wss://")
    return found


def address(text: str, port: int) -> Address:
    """Return an address to announce; `port` is used if it names none. Raises BadSettings."""
    host, separator, own = text.rpartition(":")
    if not separator or (":" in host and not host.endswith("]")):
        host, own = text, str(port)
    try:
        parsed = ipaddress.ip_address(host.strip("[]"))
        number = int(own)
    except ValueError:
        raise BadSettings(f"--announce {text!r} is not an IP address, or one with a port") from None
    if not 0 < number < 65536:
        raise BadSettings(f"--announce {text!r}: {number} is not a port")
    return Address(str(parsed), number)


def _submitted(text: str | None) -> str | None:
    if not text:
        return None
    try:
        found = named(text)
    except BadSubmission as error:
        raise BadSettings(f"--submit: {error}") from None
    return found.shown if "@" in text else found.repo


def _hotkeys(text: str) -> frozenset[str]:
    found = frozenset(each.strip() for each in text.split(",") if each.strip())
    wrong = sorted(each for each in found if not valid_hotkey(each))
    if wrong:
        raise BadSettings(f"--allow, --deny: {wrong[0]!r} is not an ss58 address")
    return found


def _key(file: Path | None, environment: Mapping[str, str]) -> str | None:
    if file is None:
        return environment.get(KEY_VARIABLE) or None
    try:
        with file.open("rb") as opened:
            key = opened.read(KEY_BYTES_MAX).decode("ascii").strip()
    except OSError as error:
        raise BadSettings(f"the key at {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"the key at {file} is not ASCII text") from None
    if not key.isprintable() or not key:
        raise BadSettings(f"the key at {file} is empty, or not one line of text")
    return key
