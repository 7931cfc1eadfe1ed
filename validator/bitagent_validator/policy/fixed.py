"""The Fixed policy: named hotkeys with shares, whatever their scores. It needs no round."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import PolicyError, PolicyInput


def shares(given: PolicyInput, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Return the given shares of registered hotkeys, normalised. Raises PolicyError if none are given."""
    if given.parameters.fixed is None:
        raise PolicyError("policy Fixed needs spec.competitions[].policyParameters.fixed: the hotkeys and their shares")
    named = {each.hotkey: each.share for each in given.parameters.fixed.shares if each.hotkey in neurons}
    total = sum(named.values())
    return {hotkey: named[hotkey] / total for hotkey in sorted(named)}
