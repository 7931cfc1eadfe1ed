"""The command that repeats a score, for whoever may. Pure.

In this order: `reproduce` of the published results, which compares every verdict; the same tasks from public sources,
for anyone; and the round itself, for those who may read the cluster.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from bitagent_leaderboard.model.objects import Result, Round
from bitagent_leaderboard.model.text import web_address

_FILES = ("manifest.json", "responses.jsonl", "verdicts.jsonl", "summary.json")
PLACE = "ADDRESS-OF-THIS-PAGE"
"""In place of the page's own address where that is not known; the script fills it in."""


class Audience(StrEnum):
    """Who can run a command, as the page says it."""

    ANYONE = "Anyone can run it, and compare every verdict."
    SCORE = "Anyone can run it: it asks the same tasks, and shows the score."
    CLUSTER = "For those who may read the cluster: it asks the same tasks, and shows the score."


@dataclass(frozen=True, slots=True)
class Command:
    """A line of a shell."""

    text: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class Archives:
    """Where archives of rounds can be read by everybody."""

    stored: str
    """Address by which the operator writes them, such as s3://bucket/prefix."""
    public: str
    """Address by which a browser reads them."""

    @classmethod
    def parse(cls, text: str) -> Archives:
        """Read `STORED=PUBLIC`. Raises ValueError."""
        stored, separator, public = text.partition("=")
        if not separator or not stored.startswith("s3://"):
            raise ValueError(f"{text!r} is not s3://BUCKET/PREFIX=https://HOST/PATH")
        return cls(stored.rstrip("/"), web_address(public))

    def of(self, address: str | None) -> str | None:
        """Return the public address of an archive; None if it lies elsewhere."""
        if address is None or not address.startswith(f"{self.stored}/"):
            return None
        try:
            return web_address(self.public + address.removeprefix(self.stored))
        except ValueError:
            return None


def reproduction(
    round_: Round, result: Result, *, archive: str | None, public: bool, site: str | None
) -> Command | None:
    """Return the command for one result; None if there is nothing to repeat.

    `archive` is the public address of the round's archive; `public`, whether its tasks may be known; `site`, the
    address of the page.
    """
    if result.score is None or result.key is None or result.digest is None:
        return None
    folder = f"{round_.name}-{result.key}"
    if archive is not None:
        files = f"{archive}/results/{result.key}/{{{','.join(_FILES)}}}"
        fetch = f"curl -fL --create-dirs --output-dir {folder} --remote-name-all {shlex.quote(files)}"
        return Command(f"{fetch} && bitagent-eval reproduce {folder}", Audience.ANYONE)
    if result.repo is None:
        return None
    words = f"--model {shlex.quote(result.repo)} --execute {folder}"
    if public and round_.document is not None:
        document = f"{site or PLACE}/rounds/{round_.name}/round.json"
        return Command(f"bitagent-eval plan --from-round {document} {words}", Audience.SCORE)
    return Command(f"bitagent-eval plan --from-round er/{round_.name} {words}", Audience.CLUSTER)
