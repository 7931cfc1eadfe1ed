"""Parts of a pass fail apart."""

from __future__ import annotations

import asyncio

import pytest

from bitagent_kube.errors import ApiError
from bitagent_validator import troubles as module
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.metrics import Metrics
from bitagent_validator.troubles import Troubles


class Ends(Exception):
    """An exception that ends the process."""


@pytest.fixture
def troubles() -> Troubles:
    return Troubles(Metrics(), beat=lambda: None, ends=(Ends,))


async def fail(troubles: Troubles, part: str, error: Exception) -> None:
    async with troubles.contained(part):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(KeyError("x"), id="KeyError"),
        pytest.param(AttributeError("x"), id="AttributeError"),
        pytest.param(ValueError("nan"), id="ValueError"),
        pytest.param(ZeroDivisionError("x"), id="ZeroDivisionError"),
        pytest.param(RecursionError("x"), id="RecursionError"),
        pytest.param(ApiError(code=500, reason="x", message="broken"), id="the API server"),
        pytest.param(ExceptionGroup("x", [TypeError("x")]), id="a group"),
    ],
)
async def test_what_a_part_raises_is_recorded(troubles: Troubles, error: Exception) -> None:
    await fail(troubles, "competition fc, rounds", error)
    assert troubles.text.startswith("competition fc, rounds: ")
    assert troubles.resting("competition fc, rounds")
    assert not troubles.resting("competition other, rounds")


async def test_a_part_that_succeeds_is_forgotten(troubles: Troubles) -> None:
    await fail(troubles, "status", KeyError("x"))
    async with troubles.contained("status"):
        pass
    assert troubles.text == ""


@pytest.mark.parametrize("error", [Ends("x"), ChainUnavailable("away")], ids=["the end", "the chain"])
async def test_what_concerns_every_part_is_raised(troubles: Troubles, error: Exception) -> None:
    with pytest.raises(type(error)):
        await fail(troubles, "weights 0", error)


async def test_the_rest_grows_and_is_bounded(troubles: Troubles, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    rests = []
    for _ in range(9):
        troubles._record("x", "text", rest=True)
        rests.append(troubles._parts["x"].until)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_part_that_does_not_end_is_ended(troubles: Troubles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_SECONDS", 0.01)
    async with troubles.contained("state"):
        await asyncio.Event().wait()
    assert "not done in" in troubles.text


async def test_no_address_is_shown_whole(troubles: Troubles) -> None:
    await fail(troubles, "x", ValueError("wss://user:pw@node.example:443/key?api=secret refused"))
    assert troubles.text == "x: ValueError: wss://node.example:443 refused"


async def test_parts_that_are_gone_are_forgotten(troubles: Troubles) -> None:
    await fail(troubles, "competition old, rounds", KeyError("x"))
    troubles.forget({"status"})
    assert troubles.text == ""
