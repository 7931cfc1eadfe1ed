"""Forms of commitments, and what comes of bytes that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.discovery import CommitmentFault, CommitmentFormat
from bitagent_crds.minermodel import MinerModelSpec
from bitagent_validator.competitions.claims import named_model
from bitagent_validator.discovery.commitments import SIZE_MAX, CommittedModel, Fault, Parsed, parse

COMMIT = "0123456789" * 4
ALL = list(CommitmentFormat)


def read(content: bytes | str, formats: list[CommitmentFormat] = ALL, branches: bool = False) -> Parsed:
    data = content.encode() if isinstance(content, str) else content
    return parse(data, formats=formats, allow_branches=branches)


@pytest.mark.parametrize(
    ("text", "submission"),
    [
        pytest.param(f"acme:tiny:{COMMIT}:aGFzaA==:m1", CommittedModel("acme/tiny", COMMIT, "m1"), id="five fields"),
        pytest.param(f"acme:tiny:{COMMIT}:aGFzaA==", CommittedModel("acme/tiny", COMMIT), id="no competition"),
        pytest.param(f"acme:tiny:{COMMIT}:None:None", CommittedModel("acme/tiny", COMMIT), id="None is absent"),
        pytest.param(f"acme:tiny:{COMMIT}", CommittedModel("acme/tiny", COMMIT), id="no hash"),
        pytest.param(f"acme/tiny@{COMMIT}", CommittedModel("acme/tiny", COMMIT), id="a repository and a commit"),
        pytest.param(f" acme/tiny@{COMMIT}\n", CommittedModel("acme/tiny", COMMIT), id="space around"),
        pytest.param(
            json.dumps({"model": "acme/tiny", "revision": COMMIT, "more": [1]}),
            CommittedModel("acme/tiny", COMMIT),
            id="JSON",
        ),
    ],
)
def test_a_commitment_that_names_a_commit(text: str, submission: CommittedModel) -> None:
    assert read(text) == submission
    assert submission.pinned
    named = named_model(text)
    assert named is not None
    assert (named.repo, named.commit) == (submission.repo, submission.revision), "the claim will be understood"


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        pytest.param("acme/tiny@gptq-4bit", "gptq-4bit", id="a branch"),
        pytest.param("acme/tiny", "main", id="no revision"),
        pytest.param("acme:tiny:None:hash:m1", "main", id="None as the commit"),
        pytest.param('{"model": "acme/tiny"}', "main", id="JSON without a revision"),
        pytest.param(f"acme/tiny@{COMMIT[:12]}", COMMIT[:12], id="an abbreviation"),
        pytest.param("acme/tiny@" + "A" * 40, "A" * 40, id="capital letters"),
    ],
)
def test_branches_are_taken_where_the_spec_allows_them(text: str, revision: str) -> None:
    refused, taken = read(text), read(text, branches=True)
    assert isinstance(refused, Fault)
    assert refused.reason is CommitmentFault.NOT_A_COMMIT
    assert isinstance(taken, CommittedModel)
    assert (taken.revision, taken.pinned) == (revision, False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", CommitmentFault.MALFORMED, id="nothing"),
        pytest.param(b" \n", CommitmentFault.MALFORMED, id="space"),
        pytest.param(b"\xff\xfe", CommitmentFault.MALFORMED, id="no text"),
        pytest.param(b"gm", CommitmentFault.MALFORMED, id="words"),
        pytest.param(b"10.0.0.1:8091", CommitmentFault.MALFORMED, id="an address"),
        pytest.param(b"{", CommitmentFault.MALFORMED, id="broken JSON"),
        pytest.param(b"[]", CommitmentFault.MALFORMED, id="a JSON list"),
        pytest.param(b'{"model": 1, "revision": null}', CommitmentFault.MALFORMED, id="JSON of other types"),
        pytest.param(b'{"model": "\\ud800/x"}', CommitmentFault.MALFORMED, id="half a character"),
        pytest.param(b"{" * 300, CommitmentFault.MALFORMED, id="deep JSON"),
        pytest.param(f"a:b:{COMMIT}:h:c:d".encode(), CommitmentFault.MALFORMED, id="six fields"),
        pytest.param(f"../etc@{COMMIT}".encode(), CommitmentFault.MALFORMED, id="a way out"),
        pytest.param(f"a/b/c@{COMMIT}".encode(), CommitmentFault.MALFORMED, id="three parts"),
        pytest.param(f"acme/ti\nny@{COMMIT}".encode(), CommitmentFault.MALFORMED, id="a line break"),
        pytest.param(f"acme/tiny\x00@{COMMIT}".encode(), CommitmentFault.MALFORMED, id="a null byte"),
        pytest.param(f"{'a' * 60}/{'b' * 60}@{COMMIT}".encode(), CommitmentFault.MALFORMED, id="a long name"),
        pytest.param(f"volume/claim@{COMMIT}".encode(), CommitmentFault.MALFORMED, id="in place of a volume's model"),
        pytest.param(b"a" * (SIZE_MAX + 1), CommitmentFault.OVERSIZED, id="large"),
    ],
)
def test_a_commitment_that_names_no_model(content: bytes, reason: CommitmentFault) -> None:
    found = read(content, branches=True)
    assert isinstance(found, Fault)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (CommitmentFormat.FIELDS, f"acme:tiny:{COMMIT}:h:m1"),
        (CommitmentFormat.REPOSITORY, f"acme/tiny@{COMMIT}"),
        (CommitmentFormat.JSON, json.dumps({"model": "acme/tiny", "revision": COMMIT})),
    ],
)
def test_a_form_is_read_only_if_it_is_named(form: CommitmentFormat, text: str) -> None:
    assert isinstance(read(text, [form]), CommittedModel)
    others = [each for each in CommitmentFormat if each is not form]
    assert isinstance(read(text, others), Fault)


PIECES = st.sampled_from(
    ["acme", "/", ":", "@", "{", "}", '"', "model", "revision", COMMIT, "\\ud800", "None", "\n", "é"]
)


@given(st.one_of(st.binary(max_size=SIZE_MAX + 2), st.lists(PIECES, max_size=12).map(lambda p: "".join(p).encode())))
def test_any_bytes_give_a_model_that_may_be_written_or_a_short_fault(content: bytes) -> None:
    for branches in (False, True):
        found = read(content, branches=branches)
        if isinstance(found, Fault):
            assert len(found.message) <= 128
            continue
        assert found.pinned or branches
        source = {"huggingFace": {"repo": found.repo, "revision": found.revision}}
        MinerModelSpec.model_validate({"source": source})
        named = named_model(content.decode())
        assert named is None or (named.repo, named.commit) == (found.repo, found.revision if found.pinned else None)


HASH = "k2oYXKqiZrucvpgengXLeM1zKwsygOuURBK7b4+PB68="


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"acme:tiny:{COMMIT}:{HASH}:m1", CommittedModel("acme/tiny", COMMIT, "m1", HASH), id="a hash"),
        pytest.param(f"acme:tiny:{COMMIT}:{HASH}", CommittedModel("acme/tiny", COMMIT, None, HASH), id="at the end"),
        pytest.param(f"acme:tiny:{COMMIT}:None:m1", CommitmentFault.MALFORMED, id="None"),
        pytest.param(f"acme:tiny:{COMMIT}", CommitmentFault.MALFORMED, id="absent"),
        pytest.param(f"acme:tiny:{COMMIT}:aGFzaA==:m1", CommitmentFault.MALFORMED, id="too short"),
        pytest.param(f"acme/tiny@{COMMIT}", CommittedModel("acme/tiny", COMMIT), id="a form without one"),
    ],
)
def test_the_hash_is_read_where_it_is_compared(text: str, expected: CommittedModel | CommitmentFault) -> None:
    found = parse(text.encode(), formats=ALL, allow_branches=False, verify_hash=True)
    assert (found.reason if isinstance(found, Fault) else found) == expected
