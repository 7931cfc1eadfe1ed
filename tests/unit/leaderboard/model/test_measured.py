from __future__ import annotations

import json

import pytest

from bitagent_crds.texts import digest_of
from bitagent_leaderboard.model.measured import COLUMNS, ManifestError, measured
from tests import leaderboard_objects as objects


def test_interval_and_categories() -> None:
    content = objects.manifest(1, 0.8, categories={"simple": 0.9, "a\u202eb": 0.7})
    found = measured(content, digest=digest_of(content))
    assert found.interval == (0.76, 0.84)
    assert {name: part.score for name, part in found.categories.items()} == {
        "a\\u202eb": "0.700000",
        "simple": "0.900000",
    }
    assert found.columns["Non-Live AST Acc"].score == "0.800000"


def test_more_categories_than_are_shown() -> None:
    content = objects.manifest(1, 0.8, categories={f"c{number:03}": 0.5 for number in range(200)})
    assert len(measured(content, digest=digest_of(content)).categories) == COLUMNS


@pytest.mark.parametrize("content", [b"{}", b"no", b"[]", json.dumps({"score": "2"}).encode()])
def test_what_cannot_be_read(content: bytes) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        measured(content, digest=digest_of(content))


def test_another_manifest_than_the_status_names() -> None:
    with pytest.raises(ManifestError, match="digest"):
        measured(objects.manifest(1, 0.8), digest=objects.digest("other"))
