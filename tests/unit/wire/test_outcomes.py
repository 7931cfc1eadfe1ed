from __future__ import annotations

import pytest

from bitagent_wire.messages import IsAlive
from bitagent_wire.outcomes import (
    FORGET_SECONDS,
    Answer,
    KnownProtocols,
    MinerAddress,
    Outcome,
    Preference,
    Protocol,
    words,
)


@pytest.mark.parametrize(
    ("axon", "host", "port"),
    [
        ("1.2.3.4:8091", "1.2.3.4", 8091),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
    ],
)
def test_axons(axon: str, host: str, port: int) -> None:
    assert MinerAddress.of_axon("5H", axon) == MinerAddress("5H", host, port)


@pytest.mark.parametrize("axon", [None, "", "1.2.3.4:0", "1.2.3.4:70000", "1.2.3.4", "evil.example:80", "a@1.2.3.4:80"])
def test_texts_that_are_no_axon(axon: str | None) -> None:
    assert MinerAddress.of_axon("5H", axon) is None


def answer(protocol: Protocol, outcome: Outcome = Outcome.ANSWERED) -> Answer[IsAlive]:
    return Answer(outcome, 0.1, protocol, IsAlive())


def test_a_miner_that_answered_by_btauth_is_not_asked_the_old_way() -> None:
    known, miner = KnownProtocols(maximum=2), MinerAddress("5H", "1.2.3.4", 1)
    for other in (answer(Protocol.AXON), answer(Protocol.BTAUTH, Outcome.UNAUTHORISED)):
        known.note(miner, other)
        assert known.preferred(miner).preference is Preference.AUTO
    known.note(miner, answer(Protocol.BTAUTH))
    assert known.preferred(miner).preference is Preference.BTAUTH
    assert known.preferred(MinerAddress("5H", "1.2.3.5", 1)).preference is Preference.AUTO
    for port in (2, 3):
        known.note(MinerAddress("5H", "1.2.3.4", port), answer(Protocol.BTAUTH))
    assert known.preferred(miner).preference is Preference.AUTO


def test_words_of_others_are_one_printable_bounded_line() -> None:
    found = words("a\n\x1b[31mb\u202e" + "c" * 1000)
    assert found.startswith("a \\x1b[31mb\\u202e")
    assert found.isprintable()
    assert len(found) == 200


def test_a_miner_that_goes_back_to_an_axon_is_asked_as_such_after_a_day() -> None:
    now = [0.0]
    known, miner = KnownProtocols(clock=lambda: now[0]), MinerAddress("5H", "1.2.3.4", 1)
    answer = Answer(Outcome.ANSWERED, 1.0, Protocol.BTAUTH, IsAlive())
    known.note(miner, answer)
    now[0] = FORGET_SECONDS - 1
    assert known.preferred(miner).preference is Preference.BTAUTH
    known.note(miner, answer)
    now[0] += 2
    assert known.preferred(miner).preference is Preference.BTAUTH, "it has answered so since"
    now[0] += FORGET_SECONDS
    assert known.preferred(miner).preference is Preference.AUTO
