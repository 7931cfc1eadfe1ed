"""Commitments: what is written is what the validator's discovery reads."""

from __future__ import annotations

import pytest

from bitagent_crds.discovery import CommitmentFormat
from bitagent_miner.submissions import BadSubmission, Form, Named, named, read, write
from bitagent_validator.discovery.commitments import CommittedModel, parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = Named("acme/tiny-1.2B", COMMIT)


@pytest.mark.parametrize("form", list(Form))
def test_what_is_written_is_what_the_validator_reads(form: Form) -> None:
    content = write(MODEL, form)
    found = parse(content, formats=list(CommitmentFormat), allow_branches=False)
    assert found == CommittedModel(MODEL.repo, MODEL.revision)
    assert read(content) == MODEL


def test_a_competition() -> None:
    content = write(MODEL, Form.FIELDS, competition="tools")
    found = parse(content, formats=list(CommitmentFormat), allow_branches=False)
    assert found == CommittedModel(MODEL.repo, MODEL.revision, "tools")


@pytest.mark.parametrize(
    ("model", "form", "competition"),
    [
        pytest.param(Named("acme/m", "main"), Form.REPOSITORY, None, id="a branch"),
        pytest.param(MODEL, Form.JSON, "tools", id="a competition in another form"),
        pytest.param(MODEL, Form.FIELDS, "a:b", id="a competition with a colon"),
    ],
)
def test_what_is_not_written(model: Named, form: Form, competition: str | None) -> None:
    with pytest.raises(BadSubmission):
        write(model, form, competition=competition)


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "a/b@", "a/b@-x", "a b/c", "../x", f"a/{'x' * 200}"])
def test_names_that_are_not_read(text: str) -> None:
    if text == "a/b@":
        assert named(text) == Named("a/b", "main")
        return
    with pytest.raises(BadSubmission):
        named(text)


@pytest.mark.parametrize(
    "content", [b"\xff", b"{", b"[1]", b"{}", b'{"model": 1}', b"a:b:c:d", b"hello", b"{" * 10_000, b""]
)
def test_commitments_that_name_nothing(content: bytes) -> None:
    if content == b"a:b:c:d":
        assert read(content) == Named("a/b", "c")
        return
    with pytest.raises(BadSubmission):
        read(content)
