"""Secrets of seeds: the same for the same round, another one for any other, shared with whoever has the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.validator import Competition
from bitagent_validator.competitions.seed_secrets import SecretUnavailable, SeedSecrets

Make = Callable[..., Competition]


def secrets(key: bytes = b"own", **changes: Any) -> SeedSecrets:
    return SeedSecrets(key, **({"validator_uid": "u1", "netuid": 20, "directory": Path("/nowhere")} | changes))


def shared(competition: Make, **changes: Any) -> Competition:
    template = competition().round.to_wire()
    template["tasks"]["secretRef"] = {"name": "shared", "key": "seed"}
    return competition(round=template, **changes)


def test_a_secret_is_32_bytes_and_follows_from_its_round(competition: Make) -> None:
    one = secrets().secret(competition(), block=7, genesis="0x1")
    assert len(bytes.fromhex(one)) == 32
    assert secrets().secret(competition(), block=7, genesis="0x1") == one


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"block": 8}, id="another block"),
        pytest.param({"genesis": "0x2"}, id="another chain"),
        pytest.param({"id": "other"}, id="another competition"),
        pytest.param({"key": b"other"}, id="another hotkey"),
        pytest.param({"netuid": 21}, id="another subnet"),
        pytest.param({"validator_uid": "u2"}, id="another Validator of this hotkey"),
    ],
)
def test_any_other_round_has_another_secret(competition: Make, changes: dict[str, Any]) -> None:
    """A secret that was published must be of no use for another round."""

    def of(*, id: str = "fc", block: int = 7, genesis: str = "0x1", **of_pod: Any) -> str:  # noqa: A002 - as in the spec
        return secrets(**of_pod).secret(competition(id=id), block=block, genesis=genesis)

    assert of(**changes) != of()


def test_validators_that_share_a_key_have_the_same_secrets(competition: Make, tmp_path: Path) -> None:
    (tmp_path / "fc").write_bytes(b"s" * 32 + b"\n")
    first = secrets(directory=tmp_path)
    second = secrets(b"another", validator_uid="u2", directory=tmp_path)
    found = first.secret(shared(competition), block=7, genesis="0x1")
    assert second.secret(shared(competition), block=7, genesis="0x1") == found
    assert second.secret(shared(competition), block=8, genesis="0x1") != found


@pytest.mark.parametrize("content", [None, b"short"], ids=["missing", "could be guessed"])
def test_a_shared_key_that_cannot_be_used(competition: Make, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "fc").write_bytes(content)
    with pytest.raises(SecretUnavailable, match="competition fc"):
        secrets(directory=tmp_path).secret(shared(competition), block=7, genesis="0x1")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"period": 8}, id="another period"),
        pytest.param({"genesis": "0x2"}, id="another chain"),
        pytest.param({"id": "other"}, id="another competition"),
        pytest.param({"key": b"other"}, id="another hotkey"),
        pytest.param({"netuid": 21}, id="another subnet"),
        pytest.param({"validator_uid": "u2"}, id="another Validator of this hotkey"),
    ],
)
def test_any_other_pool_has_another_seed(competition: Make, changes: dict[str, Any]) -> None:
    def of(*, id: str = "fc", period: int = 7, genesis: str = "0x1", **of_pod: Any) -> str:  # noqa: A002 - as in the spec
        return secrets(**of_pod).pool_seed(competition(id=id), period=period, genesis=genesis)

    assert of(**changes) != of() == of()
    assert of() != secrets().secret(competition(), block=7, genesis="0x1"), "that of a round is published"


def test_validators_that_share_a_key_have_the_same_pools(competition: Make, tmp_path: Path) -> None:
    (tmp_path / "fc").write_bytes(b"s" * 32)
    first = secrets(directory=tmp_path).pool_seed(shared(competition), period=7, genesis="0x1")
    second = secrets(b"another", validator_uid="u2", directory=tmp_path)
    assert second.pool_seed(shared(competition), period=7, genesis="0x1") == first
    with pytest.raises(SecretUnavailable):
        secrets().pool_seed(shared(competition), period=7, genesis="0x1")
