"""What axons answer about models: when they are asked, and which answers hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.discovery import AxonDiscovery, CommitmentFault
from bitagent_local.chain import keys
from bitagent_validator.chain.facts import Axon
from bitagent_validator.discovery.axons import Answered, AxonReader, merged, parse_answer
from bitagent_validator.discovery.commitments import CommittedModel, Fault
from bitagent_validator.metrics import Metrics
from bitagent_validator.wallet import Account
from bitagent_wire.hotkey_file import HotkeyFileError
from bitagent_wire.messages import GetHFModelName
from bitagent_wire.outcomes import Answer, MinerAddress, Outcome

Make = Callable[..., Any]


def answer(name: str | None) -> Answer[GetHFModelName]:
    return Answer(Outcome.ANSWERED, 0.1, message=GetHFModelName(hf_model_name=name))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(answer("acme/tiny"), CommittedModel("acme/tiny", "main"), id="a repository"),
        pytest.param(answer(" acme/tiny@v2 \n"), CommittedModel("acme/tiny", "v2"), id="a revision"),
        pytest.param(answer("acme/tiny@" + "c" * 40), CommittedModel("acme/tiny", "c" * 40), id="a commit"),
        pytest.param(answer(None), CommitmentFault.MALFORMED, id="nothing"),
        pytest.param(answer("tiny"), CommitmentFault.MALFORMED, id="no owner"),
        pytest.param(answer("volume/tiny"), CommitmentFault.MALFORMED, id="a reserved owner"),
        pytest.param(answer("a/b/c"), CommitmentFault.MALFORMED, id="a path"),
        pytest.param(answer("../../etc/passwd"), CommitmentFault.MALFORMED, id="another path"),
        pytest.param(answer("https://hub/acme/tiny"), CommitmentFault.MALFORMED, id="a URL"),
        pytest.param(answer("acme/" + "x" * 500), CommitmentFault.MALFORMED, id="a long name"),
        pytest.param(Answer(Outcome.TIMEOUT, 15.0), CommitmentFault.NO_ANSWER, id="no answer"),
        pytest.param(Answer(Outcome.ADDRESS_REFUSED, 0.0), CommitmentFault.ADDRESS_REFUSED, id="not asked"),
    ],
)
def test_an_answer(given: Answer[GetHFModelName], expected: CommittedModel | CommitmentFault) -> None:
    found = parse_answer(given)
    assert (found.reason if isinstance(found, Fault) else found) == expected


GOOD, BETTER, BAD = (
    CommittedModel("a/m", "main"),
    CommittedModel("a/n", "main"),
    Fault(CommitmentFault.NO_ANSWER, "Timeout"),
)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(None, GOOD, (GOOD, 200), id="the first"),
        pytest.param(GOOD, GOOD, (GOOD, 100), id="the same: the block of the first sight"),
        pytest.param(GOOD, BETTER, (BETTER, 200), id="another model"),
        pytest.param(GOOD, BAD, (GOOD, 100), id="away: the model holds"),
        pytest.param(BAD, GOOD, (GOOD, 200), id="back"),
    ],
)
def test_which_answer_holds(neuron: Make, before: Any, now: Any, expected: Any) -> None:
    known = {} if before is None else {"a": Answered(100, before, registered_at=10)}
    found = merged(known, {"a": now, "gone": GOOD}, neurons={"a": neuron("a")}, block=200)
    assert {hotkey: (each.parsed, each.block) for hotkey, each in found.items()} == {"a": expected}


def test_the_next_holder_of_a_slot_inherits_nothing(neuron: Make) -> None:
    known = {"a": Answered(100, GOOD, registered_at=10), "gone": Answered(100, GOOD, registered_at=10)}
    assert merged(known, {}, neurons={"a": neuron("a", registered_at=150)}, block=200) == {}


class Stage:
    """A reader among miners that answer at once."""

    def __init__(self, tmp_path: Path, subnet: Make, neuron: Make, *, url: str = "ws://127.0.0.1") -> None:
        (tmp_path / "hotkey").write_bytes(keys.keyfile("//Validator"))
        self.account = Account(keys.address("//Validator"), tmp_path / "hotkey")
        self.answers: dict[str, Answer[GetHFModelName]] = {}
        self.asked: list[tuple[list[str], float]] = []
        self.local: list[bool] = []
        self.came = asyncio.Event()
        self.metrics = Metrics()
        self.reader = AxonReader(self.account, self.metrics, changed=self.came.set, open_questions=self.open)
        self.connection: Any = SimpleNamespace(url=url, genesis="0xg")
        axon = Axon("10.0.0.1", 8091, 4)
        mine = {self.account.hotkey: neuron(self.account.hotkey, axon=axon), "silent": neuron("silent")}
        self.subnet = lambda block: subnet(block=block, neurons=mine | {h: neuron(h, axon=axon) for h in self.answers})

    @asynccontextmanager
    async def open(self, signer: Any, *, local: bool, known: Any) -> AsyncIterator[Any]:
        assert signer.ss58_address == self.account.hotkey
        self.local.append(local)
        yield self

    async def ask_all(
        self, messages: Mapping[MinerAddress, Any], *, timeout_seconds: float, maximum_bytes: int
    ) -> dict[str, Answer[GetHFModelName]]:
        self.asked.append((sorted(m.hotkey for m in messages), timeout_seconds))
        return {m.hotkey: self.answers[m.hotkey] for m in messages}

    async def at(self, block: int) -> bool:
        """Reconcile, and again once the answers have come; return whether there are new ones."""
        self.came.clear()
        before = len(self.asked)
        self.reader.reconcile(self.subnet(block), AxonDiscovery(every_blocks=50), connection=self.connection)
        if self.reader._task is None:
            return False
        await asyncio.wait_for(self.came.wait(), 60)
        new = self.reader.reconcile(self.subnet(block), AxonDiscovery(every_blocks=50), connection=self.connection)
        return new and len(self.asked) > before


async def test_those_that_serve_are_asked_once_an_interval(tmp_path: Path, subnet: Make, neuron: Make) -> None:
    stage = Stage(tmp_path, subnet, neuron)
    stage.answers = {"a": answer("a/m"), "b": Answer(Outcome.TIMEOUT, 15.0)}
    assert await stage.at(100)
    assert stage.asked == [(["a", "b"], 15)]
    assert stage.reader.answers["a"] == Answered(100, GOOD, registered_at=10)
    assert not await stage.at(149)
    stage.answers["a"] = answer("a/n")
    assert await stage.at(150)
    assert stage.reader.answers["a"] == Answered(150, BETTER, registered_at=10)
    counted = stage.metrics.registry.get_sample_value
    assert counted("bitagent_validator_axon_answers_total", {"outcome": "Answered"}) == 2
    await stage.reader.close()
    assert stage.reader.answers == {}


@pytest.mark.parametrize(("url", "local"), [("ws://127.0.0.1:9944", True), ("wss://node.example.org", False)])
async def test_private_addresses_are_asked_on_a_local_chain_only(
    tmp_path: Path, subnet: Make, neuron: Make, url: str, local: bool
) -> None:
    stage = Stage(tmp_path, subnet, neuron, url=url)
    stage.answers = {"a": answer("a/m")}
    await stage.at(100)
    assert stage.local == [local]


async def test_what_keeps_it_from_asking_is_raised_once(tmp_path: Path, subnet: Make, neuron: Make) -> None:
    stage = Stage(tmp_path, subnet, neuron)
    stage.answers = {"a": answer("a/m")}
    stage.account.hotkey_file.unlink()
    with pytest.raises(HotkeyFileError):
        await stage.at(100)
    assert not await stage.at(110)
    stage.account.hotkey_file.write_bytes(keys.keyfile("//Validator"))
    assert await stage.at(150)
