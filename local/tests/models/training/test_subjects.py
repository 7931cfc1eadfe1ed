"""Subjects of the benchmark: wordings and descriptions that tell them apart."""

from __future__ import annotations

import re

import pytest

from bitagent_local.models.training import subjects

SUBJECTS = {subject.name: subject for subject in subjects.load()}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_wordings_name_every_value_once(subject: subjects.Subject) -> None:
    names = sorted(parameter.name for parameter in subject.parameters)
    for wording in subject.questions:
        assert sorted(re.findall(r"\{(\w+)\}", wording)) == names
    assert len(set(subject.questions)) > subjects.PUBLIC_QUESTIONS


def test_no_two_subjects_share_a_wording() -> None:
    every = [wording for subject in SUBJECTS.values() for wording in subject.questions]
    assert len(set(every)) == len(every)


def test_no_two_things_share_a_description() -> None:
    things = [thing for subject in SUBJECTS.values() for thing in (subject, *subject.parameters)]
    assert len({thing.description for thing in things}) == len(things)
