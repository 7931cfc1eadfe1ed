"""Questions about rights."""

from __future__ import annotations

from bitagent_cli.doctor.rights import OF_PERSON, Question, account_of, as_words, of_operator, questions
from bitagent_cli.doctor.seen import Right
from bitagent_cli.parser import VERBS
from bitagent_crds.permissions import OPERATOR_RULES


def test_each_rule_of_the_operator_is_asked_about() -> None:
    asked = of_operator(volume_per_model=False)
    assert Question("batch", "jobs", "create") in asked
    assert set(asked) == set(questions(OPERATOR_RULES))
    assert Question("", "persistentvolumeclaims", "create") not in asked
    assert Question("", "persistentvolumeclaims", "create") in of_operator(volume_per_model=True)


def test_attributes_name_subresources() -> None:
    assert Question("", "pods/exec", "create").attributes("ns") == {
        "namespace": "ns", "group": "", "resource": "pods", "verb": "create", "subresource": "exec",
    }  # fmt: skip


def test_the_account_of_a_deployment() -> None:
    template = {"spec": {"serviceAccountName": "op"}}
    user, groups = account_of({"metadata": {"namespace": "ns"}, "spec": {"template": template}})
    assert user == "system:serviceaccount:ns:op"
    assert "system:serviceaccounts:ns" in groups


def test_words() -> None:
    missing = [
        Right("batch", "jobs", "get", False),
        Right("batch", "jobs", "list", False),
        Right("", "pods", "get", False),
    ]
    assert as_words(missing) == "get, list batch/jobs; get pods"


def test_what_a_person_needs_names_verbs_that_exist() -> None:
    named = {word.split()[0] for verbs in OF_PERSON.values() for word in verbs.split(", ")}
    assert named <= set(VERBS)
