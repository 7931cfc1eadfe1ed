"""RBAC rules of the operator and of validators."""

from __future__ import annotations

from bitagent_operator.manifests.rbac import OPERATOR_RULES, validator_rules


def test_the_operator_holds_what_it_grants() -> None:
    held = {
        (g, r, v)
        for rule in OPERATOR_RULES
        for g in rule["apiGroups"]
        for r in rule["resources"]
        for v in rule["verbs"]
    }
    given = {
        (g, r, v)
        for rule in validator_rules("v", discovers=True)
        for g in rule["apiGroups"]
        for r in rule["resources"]
        for v in rule["verbs"]
    }
    assert given <= held


def test_secrets_and_logs_are_out_of_reach() -> None:
    resources = {r for rule in OPERATOR_RULES for r in rule["resources"]}
    assert resources.isdisjoint({"secrets", "pods/exec", "pods/log", "*"})
