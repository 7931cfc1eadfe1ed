"""Every error that a checker can give has a sentence."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from bitagent_crds.results import Unanswered
from bitagent_evaluator.reports.error_words import ERRORS, explain
from bitagent_evaluator.scoring.bitagent.criteria import Criterion

_ERROR = re.compile(r"""["'](?:error_type|error)["']\]?\s*[:=]\s*["']([a-z_]+:[a-z_:/]+)["']""")


def official_errors() -> list[str]:
    spec = find_spec("bfcl_eval")
    assert spec is not None and spec.submodule_search_locations
    files = Path(spec.submodule_search_locations[0], "eval_checker").rglob("*.py")
    return sorted({error for file in files for error in _ERROR.findall(file.read_text())})


def own_errors() -> list[str]:
    spec = find_spec("bitagent_evaluator.scoring")
    assert spec is not None and spec.submodule_search_locations
    files = Path(spec.submodule_search_locations[0]).rglob("*.py")
    named = re.compile(r'^[A-Z_]+ = "([a-z_]+:[a-z_]+)"$', re.MULTILINE)
    return sorted({error for file in files for error in named.findall(file.read_text())})


@pytest.mark.parametrize(
    "error", [*official_errors(), *own_errors(), *Unanswered, *(f"bitagent:{of}" for of in Criterion)], ids=str
)
def test_an_error_has_a_sentence(error: str) -> None:
    assert explain(error).endswith("."), error


def test_many_errors_were_found() -> None:
    assert len(official_errors()) > 25 and len(own_errors()) > 10 and "value_error:others" in ERRORS
    assert explain("another:one") == ""
