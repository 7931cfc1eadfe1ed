"""All findings of a cluster of which nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime

from bitagent_cli.doctor.checks.all_parts import findings, with_counts, worst
from bitagent_cli.doctor.findings import Area, Level, bad, ok, unknown, warn
from bitagent_cli.doctor.seen import Seen


def test_each_area_is_looked_at() -> None:
    found = findings(Seen(namespace="ns", now=datetime(2026, 1, 1, tzinfo=UTC)))
    assert {each.area for each in found} >= set(Area) - {Area.DEFINITIONS, Area.RIGHTS, Area.OBJECTS}
    assert all(each.do for each in found if each.level in (Level.BAD, Level.WARN))


def test_the_worst() -> None:
    fine, doubt, wrong = ok(Area.HUB, ""), warn(Area.HUB, "", ""), bad(Area.HUB, "", "")
    assert worst([fine, unknown(Area.HUB, "")]) is Level.OK
    assert worst([fine, doubt]) is Level.WARN
    assert worst([wrong, doubt, fine]) is Level.BAD
    assert with_counts([wrong, fine, fine]) == "2 ok, 1 bad"
