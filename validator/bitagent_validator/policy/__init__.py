"""How scores become shares: `interface` says what a policy gets and gives; each policy is one module, listed in `POLICIES`.

A policy is a pure function. It knows no chain client, no Kubernetes, and nothing of how weights are encoded or sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_crds.validator import Policy
from bitagent_validator.policy import bitagent
from bitagent_validator.policy.interface import PolicyFunction

POLICIES: Mapping[Policy, PolicyFunction] = {Policy.BITAGENT: bitagent.shares}
"""Every policy that a competition may name."""
