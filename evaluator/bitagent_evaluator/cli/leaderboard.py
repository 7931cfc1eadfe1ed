"""`bitagent-eval leaderboard verify`: check a round's public leaderboard without a cluster or a chain."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.leaderboard import Signature, SignedLeaderboard, signed_text, written_digest
from bitagent_evaluator.cli.console import show, untrusted
from bitagent_evaluator.cli.process import fail
from bitagent_evaluator.support.faults import first_error

EXIT_NOT_VERIFIED = 3
MAX_BYTES = 8 << 20
_VERB = "leaderboard verify"
_DESCRIPTION = "Check that a leaderboard.json has the digest that it names, and that its hotkey signed it."
_EPILOG = (
    "exit codes: 0 verified, 3 the digest or the signature does not hold, or it is not signed, 2 not a leaderboard, "
    "1 signatures cannot be checked here (the package bittensor is not installed)"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval leaderboard")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verify = verbs.add_parser("verify", help=_DESCRIPTION, description=_DESCRIPTION, epilog=_EPILOG)
    verify.add_argument("file", type=Path, metavar="FILE", help="a leaderboard.json")
    verify.add_argument(
        "--hotkey", metavar="SS58", help="who must have signed it (default: anyone; compare with the chain yourself)"
    )
    return parser


def main(argv: list[str]) -> int:
    """Check the file. Returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        with options.file.open("rb") as file:
            content = file.read(MAX_BYTES)
        signed, written = SignedLeaderboard.model_validate_json(content), written_digest(content)
    except OSError as error:
        return fail(_VERB, f"{options.file}: {error.strerror}", EXIT_USAGE)
    except ValidationError as error:
        return fail(_VERB, f"{options.file} is not a leaderboard: {first_error(error)}", EXIT_USAGE)
    board = signed.leaderboard
    if written != signed.digest:
        text = f"{options.file} was changed: its content has the digest {written}, and it names {signed.digest}"
        return fail(_VERB, text, EXIT_NOT_VERIFIED)
    if signed.signature is None:
        return fail(_VERB, f"{options.file} is signed by no one; its digest {signed.digest} holds", EXIT_NOT_VERIFIED)
    hotkey = signed.signature.hotkey
    if options.hotkey is not None and hotkey != options.hotkey:
        return fail(_VERB, f"{options.file} is signed by {hotkey}, not by {options.hotkey}", EXIT_NOT_VERIFIED)
    try:
        holds = _holds(signed.signature, signed.digest)
    except ImportError:
        text = f"the digest {signed.digest} holds; the signature of {hotkey} was not checked: install bittensor"
        return fail(_VERB, text, EXIT_INFRASTRUCTURE)
    if not holds:
        return fail(_VERB, f"{options.file}: the signature is not one of {hotkey}", EXIT_NOT_VERIFIED)
    best = f"best {board.rows[0].model} {board.rows[0].score}" if board.rows else "no model was ranked"
    show(untrusted(f"{board.round}: {len(board.rows)} models, {best}; {signed.digest}, signed by {hotkey}"))
    return EXIT_OK


def _holds(signature: Signature, digest: str) -> bool:
    """Whether the signature is the hotkey's. Raises ImportError without a library for it."""
    from bittensor.sp_core import Keypair

    written = bytes.fromhex(signature.signature.removeprefix("0x"))
    try:
        return bool(Keypair(ss58_address=signature.hotkey).verify(signed_text(digest), written))
    except ValueError:  # no address, though it looks like one
        return False
