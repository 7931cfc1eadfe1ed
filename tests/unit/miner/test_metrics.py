from __future__ import annotations

import re
from pathlib import Path

from bitagent_miner.metrics import Metrics

PAGE = Path(__file__).parents[3] / "docs/mining.md"


def test_the_page_has_every_metric_and_no_other() -> None:
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in Metrics().registry.collect()
    }
    assert set(re.findall(r"^\| `(bitagent_miner_\w+)`", PAGE.read_text(), re.MULTILINE)) == families
