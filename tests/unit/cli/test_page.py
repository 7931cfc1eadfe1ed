"""docs/commands.md follows from the parser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitagent_cli.page import BEGIN, PAGE, main, page, reference
from bitagent_cli.parser import VERBS

ROOT = Path(__file__).parents[3]


def test_the_page_is_current() -> None:
    assert main([str(ROOT), "--check"]) == 0


def test_every_verb_and_option_is_in_it() -> None:
    text = reference()
    assert [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")] == list(VERBS)
    for part in ("`-f, --follow`", "`--commit-block N`", "`er\\|mm\\|val`", "`REPO[@REV]`"):
        assert part in text


def test_a_change_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / PAGE
    path.parent.mkdir()
    path.write_text(f"# Head\n{BEGIN}\nold\n")
    assert main([str(tmp_path), "--check"]) == 1
    assert main([str(tmp_path)]) == 0
    assert path.read_text().startswith("# Head\n")
    assert main([str(tmp_path), "--check"]) == 0
    with pytest.raises(ValueError, match="has no line"):
        page("without the mark")


def _sections_that_are_named() -> set[tuple[str, str]]:
    sources = [*(ROOT / "cli").rglob("*.py"), ROOT / "crds/bitagent_crds/advice.py"]
    return {found for path in sources for found in re.findall(r"(docs/[a-z-]+\.md)#([a-z-]+)", path.read_text())}


@pytest.mark.parametrize(("document", "section"), sorted(_sections_that_are_named()))
def test_sections_that_messages_name_exist(document: str, section: str) -> None:
    titles = re.findall(r"^#+ (.*)$", (ROOT / document).read_text(), re.MULTILINE)
    assert section in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
