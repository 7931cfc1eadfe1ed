"""Literals of the benchmark: the generated files, and which names and values are distinctive."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_evaluator.chat_templates.audit.benchmark import literals
from bitagent_evaluator.chat_templates.audit.benchmark.generate import build_files


def test_hashes_are_those_of_the_installed_benchmark() -> None:
    folder = Path(literals.__file__).parent
    for name, content in build_files().items():
        assert (folder / name).read_bytes() == content, (
            "run python -m bitagent_evaluator.chat_templates.audit.benchmark.generate"
        )
        assert len(content) > 4000 and len(content) % literals.DIGEST_BYTES == 0


@pytest.mark.parametrize(
    ("name", "distinctive"),
    [
        ("search", False), ("get_weather", False), ("get_current_weather", False), ("add_numbers", False),
        ("calculate_triangle_area", True), ("musical_ticket.buy", True), ("EventSettingsApi.getEventInfos", True),
    ],
)  # fmt: skip
def test_only_distinctive_names_count(name: str, distinctive: bool) -> None:
    assert literals.is_distinctive_name(name) is distinctive


def test_name_is_found_in_running_text_whatever_its_case() -> None:
    assert list(literals.find_names("call Musical_Ticket.buy. Or search(x)")) == ["Musical_Ticket.buy"]
