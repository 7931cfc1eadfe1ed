"""Names that the parts agree on: unique label keys, and names that fit where they are used."""

from __future__ import annotations

from itertools import combinations

import pytest

from bitagent_crds import names
from bitagent_crds.evalround import EvalRound
from bitagent_crds.names import control_key, evaluation_key, results_path, round_name, short_hash, task_set_path
from bitagent_crds.validator import Validator

KEYS = {name: value for name, value in vars(names).items() if name.endswith(("_LABEL", "_ANNOTATION"))}


def test_the_longest_round_name_is_a_legal_round_name() -> None:
    name = round_name("v" * Validator.crd.name_max, "c" * 16, 999_999)
    assert len(name) <= EvalRound.crd.name_max
    key = evaluation_key("sha256:" + "0" * 64, prompt_format="Auto", engine="{}")
    assert len(f"{name}-{key}-9") <= 63
    assert len(control_key(key)) == len(key)


def test_a_key_follows_from_all_that_decides_the_answers() -> None:
    given = {"model": "sha256:1", "prompt_format": "Auto", "engine": "{}"}
    others = [given | change for change in ({"model": "sha256:2"}, {"prompt_format": "Bfcl"}, {"engine": "{1}"})]
    keys = [evaluation_key(**case) for case in (given, *others)]
    assert keys[0] == evaluation_key(**given)
    assert len({*keys, *map(control_key, keys)}) == 2 * len(keys), "a control never has the key of an evaluation"


def test_a_control_of_another_series_has_a_key_of_its_own() -> None:
    """Else it would find the answers of the control before, and ask no machine."""
    keys = [control_key("0123456789ab", series=series) for series in range(3)]
    assert keys[0] == control_key("0123456789ab")
    assert len({*keys}) == 3


def test_a_label_key_has_one_constant() -> None:
    assert len(set(KEYS.values())) == len(KEYS)


@pytest.mark.parametrize("key", KEYS.values())
def test_a_label_key_has_a_prefix_and_a_name(key: str) -> None:
    prefix, _, name = key.partition("/")
    assert "." in prefix
    assert 0 < len(name) <= 63


def test_a_hash_depends_on_where_its_parts_end() -> None:
    hashes = [short_hash(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""))]
    assert all(a != b for a, b in combinations(hashes, 2))
    assert {len(h) for h in hashes} == {8}
    assert len(short_hash("a", digits=16)) == 16


def test_the_files_of_a_round_lie_in_its_own_directory() -> None:
    assert task_set_path("uid") == "rounds/uid/tasks"
    assert results_path("uid", "key") == "rounds/uid/results/key"
