"""The `bitagent-miner` command: `serve` is the process; `commit`, `show` and `ask` are for people."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bitagent_crds.logs import JsonFormatter, TextFormatter
from bitagent_miner import serving
from bitagent_miner.asking import BadMessage, as_json, ask_once, message_of
from bitagent_miner.chain import ChainRefused, ChainUnavailable, connect_any
from bitagent_miner.committing import Check, CommitRequest, NotCommitted, commit, show
from bitagent_miner.hub import HubError, endpoint
from bitagent_miner.settings import (
    BadSettings,
    Flags,
    add_chain,
    add_hotkey,
    add_serving,
    address,
    endpoints,
    settings,
)
from bitagent_miner.submissions import BadSubmission, Form, named
from bitagent_miner.wallet import load_hotkey
from bitagent_wire.hotkey_file import HotkeyFileError
from bitagent_wire.keys import valid_hotkey
from bitagent_wire.messages import MESSAGES
from bitagent_wire.outcomes import MinerAddress, Outcome, Preference
from bitagent_wire.redaction import RedactedLogs

USAGE = 2


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="bitagent-miner", description="The default miner of a hotkey.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    serve = commands.add_parser("serve", help="answer validators until SIGTERM")
    add_serving(Flags(serve))
    serve.add_argument(
        "--log-format",
        choices=("json", "text"),
        default="text" if sys.stderr.isatty() else "json",
        help="format of standard error (default: text on a terminal, else json)",
    )
    commit_ = commands.add_parser("commit", help="put a model on the chain")
    commit_.add_argument("model", help="OWNER/NAME or OWNER/NAME@REVISION; a branch is resolved to its commit now")
    commit_.add_argument("--form", choices=list(Form), type=Form, default=Form.REPOSITORY, help="default %(default)s")
    commit_.add_argument("--competition", help="the competition that the form 'fields' names")
    commit_.add_argument("--check", choices=list(Check), type=Check, default=Check.ASK, help="run bitagent-eval check")
    commit_.add_argument("--again", action="store_true", help="also if the chain has it: that moves its block")
    show_ = commands.add_parser("show", help="print what the chain holds for a hotkey")
    show_.add_argument("--hotkey", help="the hotkey; without it that of --hotkey-file")
    ask_ = commands.add_parser("ask", help="ask any miner one message, and print what came of it")
    ask_.add_argument("miner", help="ADDRESS:PORT; or 'uid N': where the chain says that it serves", nargs="+")
    ask_.add_argument("--miner-hotkey", help="the miner's hotkey; needed with an address")
    ask_.add_argument("--message", choices=list(MESSAGES), default="QueryTask", help="default %(default)s")
    ask_.add_argument("--body", help="the message as JSON, @FILE, or @- for standard input; without it an example")
    ask_.add_argument("--wire", choices=list(Preference), type=Preference, default=Preference.AUTO)
    ask_.add_argument("--timeout", type=float, default=15.0, help="seconds (default %(default)s)")
    ask_.add_argument("--local", action="store_true", help="also ask private and loopback addresses")
    for each in (commit_, show_, ask_):
        add_hotkey(Flags(each))
        add_chain(Flags(each))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = arguments().parse_args(argv)
    try:
        match options.command:
            case "serve":
                _configure_logs(json_lines=options.log_format == "json")
                asyncio.run(serving.run(settings(options)))
            case "commit":
                asyncio.run(_commit(options))
            case "show":
                asyncio.run(_show(options))
            case "ask":
                return asyncio.run(_ask(options))
    except (BadSettings, BadMessage, BadSubmission) as error:
        print(f"bitagent-miner: {error}", file=sys.stderr)
        return USAGE
    except (HotkeyFileError, HubError, NotCommitted, ChainRefused, ChainUnavailable, OSError) as error:
        print(f"bitagent-miner: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _commit(options: argparse.Namespace) -> None:
    key = load_hotkey(options.hotkey_file)
    request = CommitRequest(
        named(options.model),
        options.form,
        options.netuid,
        endpoint(),
        token=os.environ.get("HF_TOKEN"),
        competition=options.competition,
        check=options.check,
        again=options.again,
    )
    async with connect_any(endpoints(options.chain_endpoint)) as chain:
        await commit(request, chain, key)


async def _show(options: argparse.Namespace) -> None:
    if options.hotkey is not None and not valid_hotkey(options.hotkey):
        raise BadSettings(f"--hotkey {options.hotkey!r} is not an ss58 address")
    hotkey = options.hotkey or load_hotkey(options.hotkey_file).ss58_address
    async with connect_any(endpoints(options.chain_endpoint)) as chain:
        await show(chain, options.netuid, hotkey)


async def _ask(options: argparse.Namespace) -> int:
    key = load_hotkey(options.hotkey_file)
    message = message_of(options.message, _body(options.body))
    miner = await _miner(options)
    answer = await ask_once(key, miner, message, timeout_seconds=options.timeout, local=options.local)
    print(as_json(answer))
    if answer.outcome is Outcome.ADDRESS_REFUSED and not options.local:
        print("bitagent-miner: --local also asks private and loopback addresses", file=sys.stderr)
    return 0 if answer.good else 1


async def _miner(options: argparse.Namespace) -> MinerAddress:
    match options.miner:
        case ["uid", number] if number.isdigit():
            async with connect_any(endpoints(options.chain_endpoint)) as chain:
                subnet = await chain.subnet(options.netuid)
            neurons = subnet.neurons.values() if subnet is not None else ()
            neuron = next((each for each in neurons if each.uid == int(number)), None)
            found = MinerAddress.of_axon(neuron.hotkey, neuron.axon, options.wire) if neuron is not None else None
            if found is None:
                why = "has no such uid" if neuron is None else "has no address of it: its miner has not announced one"
                raise BadSettings(f"uid {number} cannot be asked: subnet {options.netuid} {why}")
            return found
        case [where] if not where.isdigit() and where != "uid":
            if not valid_hotkey(options.miner_hotkey or ""):
                raise BadSettings("--miner-hotkey is missing, or not a hotkey: the request is signed for it")
            target = address(where, 8091)
            return MinerAddress(options.miner_hotkey, target.host, target.port, options.wire)
        case _:
            raise BadSettings(f"{' '.join(options.miner)!r} is neither ADDRESS:PORT nor uid N")


def _body(text: str | None) -> str | None:
    if text == "@-":
        return sys.stdin.read()
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadMessage(f"--body {text} cannot be read: {error}") from None


def _configure_logs(*, json_lines: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(JsonFormatter() if json_lines else text)
    handler.addFilter(RedactedLogs())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The SDK's transport logs every reconnect in detail; the follower logs it once.
    logging.getLogger("bittensor").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
