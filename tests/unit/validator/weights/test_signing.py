"""The process that signs: what is certain about a failure, and what is signed again.

It is tested against a simulated chain in tests/integration/validator.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bittensor as bt
import pytest

from bitagent_validator.weights import signing as module
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult

REQUEST = SubmissionRequest(
    endpoint="ws://127.0.0.1:9",
    hotkey_file=Path("/there/is/no/hotkey"),
    hotkey="me",
    netuid=20,
    weights={1: 65535},
    version_key=0,
    era_blocks=32,
)


@pytest.mark.parametrize(
    ("error", "included", "outcome"),
    [
        pytest.param(bt.ChainError("no", code=bt.ErrorCode.RATE_LIMITED), False, "Refused", id="definite rejection"),
        pytest.param(bt.ChainError("no", code=bt.ErrorCode.UNKNOWN), False, "Unknown", id="unclear error"),
        pytest.param(bt.ChainError("no", code=bt.ErrorCode.UNKNOWN), True, "Refused", id="failed in a block"),
        pytest.param(
            bt.ChainError("no", name="Dropped", code=bt.ErrorCode.RATE_LIMITED),
            False,
            "Unknown",
            id="one node's pool: another may include it",
        ),
    ],
)
def test_what_is_certain_about_a_failure(error: bt.ChainError, included: bool, outcome: str) -> None:
    signer = module.Announcing(SimpleNamespace(ss58_address="me", public_key=b"", crypto_type=1, sign=lambda _: b""))
    signer.sign(b"")
    result = module._failed(error, signer, included=included)
    assert (result.outcome, result.code, result.message) == (SubmissionOutcome(outcome), error.code.value, "no")


@pytest.mark.parametrize(
    "message", ["x" * 10_000_000, "\ud800", "a\nb\x00", "é" * 5000], ids=["long", "half", "lines", "é"]
)
def test_whatever_a_node_says_fits_into_a_line(message: str) -> None:
    line = module.as_line(SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message=message, signed=7))
    assert (len(line.encode()) < 16_384, "\n" in line) == (True, False)
    assert SubmissionResult.model_validate_json(line).signed == 7


def test_the_process_ends_with_its_parent() -> None:
    """The middle process starts one that ties itself to it, and ends."""
    inner = "import sys; from bitagent_validator.weights.signing import terminate_with_parent as tie; "
    inner += "tie(int(sys.argv[1])); print('tied', flush=True); import time; time.sleep(60)"
    middle = "import os, subprocess, sys; "
    middle += "p = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE); "
    middle += "p.stdout.readline(); print(p.pid, flush=True)"
    command = [sys.executable, "-c", middle, inner]
    pid = int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    deadline = time.monotonic() + 60
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("errors", "attempts", "outcome"),
    [
        pytest.param(["Stale", ""], 2, "Included", id="V8: another transaction took the nonce"),
        pytest.param(["InvalidRevealRound", "Stale", ""], 3, "Included", id="the drand round is old, then the nonce"),
        pytest.param(["Stale"] * 9, 4, "Refused", id="not without end"),
        pytest.param(["PriorityTooLow", ""], 2, "Included", id="the nonce is taken in the pool: the next one is free"),
        pytest.param(["AlreadyImported", ""], 1, "Unknown", id="it may land"),
    ],
)
async def test_what_is_signed_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: list[str], attempts: int, outcome: str
) -> None:
    key = SimpleNamespace(ss58_address="me", public_key=b"", crypto_type=1, sign=lambda _: b"")
    signers = []

    async def attempt(_: SubmissionRequest, signer: module.Announcing) -> SubmissionResult:
        signers.append(signer)
        signer.sign(b"")
        if not (name := errors[len(signers) - 1]):
            return SubmissionResult(outcome=SubmissionOutcome.INCLUDED)
        return module._failed(bt.ChainError("no", name), signer)

    monkeypatch.setattr(module, "load_hotkey", lambda _: key)
    monkeypatch.setattr(module, "_attempt", attempt)
    result = await module.sign_and_send(REQUEST)
    assert (len(signers), result.outcome.value) == (attempts, outcome)


def test_a_refusal_of_the_submission_itself_is_certain() -> None:
    class Refused(Exception):
        payload = {"error": {"code": -32005}}

    def subscribe() -> None:
        raise Refused

    def submit_extrinsic(later: bool) -> None:
        try:
            if later:
                raise Refused
            subscribe()
        except Refused as error:
            raise bt.RpcPolicyError("limited") from error

    for later in (False, True):
        with pytest.raises(bt.RpcPolicyError) as raised:
            submit_extrinsic(later)
        assert module.refused_at_submission(raised.value) is not later


@pytest.mark.parametrize(
    ("least", "hotkeys", "expected"),
    [
        pytest.param(64, 5, 5, id="fewer hotkeys than the smallest row"),
        pytest.param(4, 5, 4, id="more"),
        pytest.param(None, 5, 0, id="no minimum"),
        pytest.param(4, None, 4, id="a chain that counts no hotkeys"),
    ],
)
async def test_the_smallest_row_is_the_chains(least: int | None, hotkeys: int | None, expected: int) -> None:
    """The SDK refuses each row on a subnet with fewer hotkeys than MinAllowedWeights; the chain takes it."""
    stored = {"MinAllowedWeights": least, "SubnetworkN": hotkeys, "Tempo": 360}

    class Substrate:
        spec = 1

        async def query(self, pallet: str, item: str, params: Any = None, *, block_hash: str | None = None) -> Any:
            assert (pallet, params, block_hash) == ("SubtensorModule", [20], "0x")
            return stored[item]

    rules = module._Rules(Substrate())
    assert await rules.query("SubtensorModule", "MinAllowedWeights", [20], block_hash="0x") == expected
    assert await rules.query("SubtensorModule", "Tempo", [20], block_hash="0x") == 360
    assert rules.spec == 1
