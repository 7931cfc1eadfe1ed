"""The reference of the old wire as a process: an Axon that serves, or a Dendrite that asks once.

Runs in an environment of its own with bittensor 10.5, without this project's packages. The messages have the names and
fields of BitAgent's published ones.

    python reference_peer.py axon URI PORT                   serves; prints a line when it does
    python reference_peer.py dendrite URI HOST PORT HOTKEY   reads messages, one JSON object a line, and prints
                                                             what came of each
"""

# Without `annotations` from the future: an Axon reads the types of its functions.
import asyncio
import json
import sys
import threading
from types import SimpleNamespace
from typing import Any, Tuple  # noqa: UP035

import bittensor
from bittensor.core import dendrite as dendrite_module


class QueryTask(bittensor.Synapse):
    tools: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    response: str = ""
    hf_run_model_name: str | None = "N/A"
    competition_version: str | None = None


class QueryResult(bittensor.Synapse):
    results: str


class IsAlive(bittensor.Synapse):
    response: bool = False


class GetHFModelName(bittensor.Synapse):
    hf_model_name: str | None = None


class SetHFModelName(bittensor.Synapse):
    hf_model_name: str


KINDS = {kind.__name__: kind for kind in (QueryTask, QueryResult, IsAlive, GetHFModelName, SetHFModelName)}


def key(uri: str) -> Any:
    return bittensor.Keypair.create_from_uri(uri)


def query(synapse: QueryTask) -> QueryTask:
    if not synapse.messages:
        raise ValueError("no messages")
    synapse.response = f"[echo(text={synapse.messages[-1]['content']!r}, tools={len(synapse.tools)})]"
    synapse.hf_run_model_name = "reference/model"
    return synapse


def result(synapse: QueryResult) -> QueryResult:
    return synapse


def alive(synapse: IsAlive) -> IsAlive:
    synapse.response = True
    return synapse


def model(synapse: GetHFModelName) -> GetHFModelName:
    synapse.hf_model_name = "reference/model"
    return synapse


def blacklisted(synapse: IsAlive) -> Tuple[bool, str]:  # noqa: UP006 - the reference compares the type
    return synapse.dendrite.hotkey == key("//Watcher").ss58_address, "no permit"


def serve(uri: str, port: int) -> None:
    wallet = SimpleNamespace(hotkey=key(uri), coldkeypub=key(uri), name="reference", hotkey_str="reference")
    axon = bittensor.Axon(wallet=wallet, ip="127.0.0.1", port=port, external_ip="127.0.0.1", external_port=port)
    axon.attach(query).attach(result).attach(model).attach(alive, blacklist_fn=blacklisted)
    axon.start()
    print("serving", flush=True)
    threading.Event().wait()


async def ask(uri: str, host: str, port: int, hotkey: str) -> None:
    # The reference asks a service on the internet for its own address.
    dendrite_module.networking.get_external_ip = lambda: "127.0.0.1"
    target = bittensor.AxonInfo(
        version=10005000, ip=host, port=port, ip_type=4, hotkey=hotkey, coldkey=hotkey, protocol=4
    )
    async with bittensor.Dendrite(wallet=key(uri)) as dendrite:
        for line in sys.stdin:
            asked = json.loads(line)
            calls = [
                dendrite.forward(
                    axons=target,
                    synapse=KINDS[asked["kind"]](**asked.get("fields", {})),
                    timeout=asked.get("timeout", 5.0),
                    deserialize=False,
                )
                for _ in range(asked.get("times", 1))
            ]
            for found in await asyncio.gather(*calls):
                fields = {name: getattr(found, name) for name in KINDS[asked["kind"]].model_fields}
                own = {name: value for name, value in fields.items() if name not in bittensor.Synapse.model_fields}
                status = [found.dendrite.status_code, str(found.dendrite.status_message)]
                print(json.dumps({"status": status, "fields": own}), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["axon", uri, port]:
            serve(uri, int(port))
        case ["dendrite", uri, host, port, hotkey]:
            asyncio.run(ask(uri, host, int(port), hotkey))
        case _:
            sys.exit(__doc__)
