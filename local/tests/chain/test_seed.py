"""Seed files: bad ones are explained, and the demo's has everything that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.chain import seed
from bitagent_local.chain.keys import address

SEEDS: dict[str, tuple[str, str]] = {
    "misspelt field": ("netuit: 20", "netuit"),
    "same hotkey twice": ("neurons: [{hotkey: //A}, {hotkey: //A}]", "named twice"),
    "more neurons than places": ("{hyperparameters: {max_allowed_uids: 0}, neurons: [{hotkey: //A}]}", "1 neurons"),
    "not YAML": ("{", "neither YAML nor JSON"),
    "long commitment": ("neurons: [{hotkey: //A, commitment: %s}]" % ("é" * 65), "128 bytes"),
}


@pytest.mark.parametrize(("content", "message"), SEEDS.values(), ids=SEEDS.keys())
def test_bad_seeds_name_the_field(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        seed.load(file)


def test_demo_seed_has_one_validator_and_a_miner_for_every_repository() -> None:
    demo = seed.load(Path(seed.__file__).with_name("demo.yaml"))
    assert [neuron.hotkey for neuron in demo.neurons if neuron.permit] == [address("//Validator")]
    assert [neuron.commitment for neuron in demo.neurons[1:]] == [
        "acme/tiny-fc-1200",
        "blue/tiny-fc-600",
        "coral/tiny-fc-400",
        "delta/tiny-fc-250",
        "echo/tiny-fc-1200-copy",
    ]
