"""The verb `ask`: one message to any miner, and what came of it."""

from __future__ import annotations

import json
from typing import Any

from bitagent_crds.printable import printable_json
from bitagent_wire.addresses import AddressRule
from bitagent_wire.client import ask, open_session
from bitagent_wire.messages import MESSAGES, Message, Misread, QueryTask, read
from bitagent_wire.outcomes import Answer, MinerAddress

EXAMPLE = json.dumps(
    {
        "messages": [{"role": "user", "content": "What is the weather in Lisbon?"}],
        "tools": [
            {
                "name": "weather",
                "description": "The weather of a city",
                "arguments": {"city": {"required": True, "type": "string", "description": "Name of the city"}},
            }
        ],
    }
)
"""The task that is asked if no body is given."""


class BadMessage(Exception):
    """The body is not such a message."""


def message_of(name: str, body: str | None) -> Message:
    """Return a message by its name and JSON. Raises BadMessage."""
    kind = MESSAGES[name]
    try:
        return read(kind, (body or (EXAMPLE if kind is QueryTask else "{}")).encode())
    except Misread as error:
        raise BadMessage(f"the body is not a {name}: {error}") from None


async def ask_once(
    key: Any, miner: MinerAddress, message: Message, *, timeout_seconds: float, local: bool
) -> Answer[Message]:
    """Ask one miner."""
    rule = AddressRule.LOCAL if local else AddressRule.PUBLIC
    async with open_session() as session:
        return await ask(session, signer=key, miner=miner, message=message, timeout_seconds=timeout_seconds, rule=rule)


def as_json(answer: Answer[Message]) -> str:
    """Return an outcome as one line of JSON, printable."""
    found: dict[str, Any] = {
        "outcome": answer.outcome,
        "seconds": round(answer.seconds, 3),
        "wire": answer.protocol,
        "signed": answer.signed,
    }
    if answer.message is not None:
        found["answer"] = answer.message.model_dump(mode="json", include=set(answer.message.ANSWER))
    if answer.detail:
        found["detail"] = answer.detail
    return printable_json(json.dumps(found, ensure_ascii=False))
