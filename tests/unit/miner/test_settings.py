from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from bitagent_miner.admission import Callers
from bitagent_miner.following import Address
from bitagent_miner.prompting import ToolMode
from bitagent_miner.settings import BadSettings, Flags, Settings, add_serving, address, settings

HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
NEEDED = ["--model-url", "http://127.0.0.1:8000/v1", "--model", "m"]


def parsed(*argv: str, environment: dict[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser()
    add_serving(Flags(parser, environment or {}))
    return settings(parser.parse_args([*NEEDED, *argv]), environment or {})


def test_defaults() -> None:
    found = parsed()
    assert (found.netuid, found.port, found.address, found.rules.callers) == (20, 8091, None, Callers.PERMIT)
    assert (found.names.running, found.names.submitted, found.model.key) == ("m", None, None)
    assert (len(found.endpoints), found.connections, found.total_connections) == (2, 128, 512)


def test_the_environment_gives_defaults_and_flags_come_first() -> None:
    environment = {
        "BITAGENT_MINER_NETUID": "76",
        "BITAGENT_MINER_TOOLS": "native",
        "BITAGENT_MINER_MAX_TOKENS": "9",
        "BITAGENT_MINER_MODEL_KEY": "secret",
        "BITAGENT_MINER_ANNOUNCE": "1.2.3.4",
        "BITAGENT_MINER_PORT": "tcp://10.0.0.1:8091",
    }
    found = parsed("--max-tokens", "7", environment=environment)
    assert (found.netuid, found.model.mode, found.model.max_tokens) == (76, ToolMode.NATIVE, 7)
    assert (found.model.key, found.address) == ("secret", Address("1.2.3.4", 8091))


def test_a_key_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n")
    assert parsed("--model-key-file", str(file)).model.key == "secret"
    for content in (b"", b"a\nb", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(BadSettings):
            parsed("--model-key-file", str(file))
    with pytest.raises(BadSettings):
        parsed("--model-key-file", str(tmp_path / "none"))


@pytest.mark.parametrize(
    "argv",
    [
        ["--model-url", "ftp://x"],
        ["--model-url", ""],
        ["--model", ""],
        ["--max-tokens", "0"],
        ["--timeout", "nan"],
        ["--queue", "-1"],
        ["--connections", "-1"],
        ["--total-connections", "-1"],
        ["--minimum-stake", "nan"],
        ["--chain-endpoint", "http://x"],
        ["--chain-endpoint", ","],
        ["--allow", "x"],
        ["--submit", "x"],
        ["--announce", "miner.example"],
        ["--announce", "1.2.3.4:0"],
    ],
    ids=" ".join,
)
def test_what_does_not_fit(argv: list[str]) -> None:
    with pytest.raises(BadSettings):
        parsed(*argv)


@pytest.mark.parametrize(
    ("text", "host", "port", "axon"),
    [
        ("1.2.3.4", "1.2.3.4", 7, "1.2.3.4:7"),
        ("1.2.3.4:80", "1.2.3.4", 80, "1.2.3.4:80"),
        ("2001:db8::1", "2001:db8::1", 7, "[2001:db8::1]:7"),
        ("[2001:db8::1]:80", "2001:db8::1", 80, "[2001:db8::1]:80"),
    ],
)
def test_addresses(text: str, host: str, port: int, axon: str) -> None:
    found = address(text, 7)
    assert (found, found.axon) == (Address(host, port), axon)


@pytest.mark.parametrize(("text", "name"), [("me/it", "me/it"), ("me/it@v1", "me/it@v1")])
def test_the_submitted_name(text: str, name: str) -> None:
    assert parsed("--submit", text).names.submitted == name


def test_hotkeys_of_lists() -> None:
    found: Any = parsed("--allow", f" {HOTKEY}, ", "--callers", "anyone").rules
    assert (found.allow, found.callers) == (frozenset([HOTKEY]), Callers.ANYONE)
