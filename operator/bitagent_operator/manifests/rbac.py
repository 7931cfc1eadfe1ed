"""RBAC rules of the operator's Role and of a validator's; see `bitagent_crds.permissions`."""

from __future__ import annotations

from bitagent_crds.permissions import OPERATOR_RULES, VOLUME_RULES, Rule, rule, validator_rules

__all__ = ["OPERATOR_RULES", "VOLUME_RULES", "Rule", "rule", "validator_rules"]
