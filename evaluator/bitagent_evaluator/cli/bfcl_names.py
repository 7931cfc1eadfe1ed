"""Names of BFCL's categories and of the groups in which the leaderboard's own program takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bitagent_crds.tasks import MEMORY, MULTI_TURN, BfclCategory
from bitagent_evaluator.cli.names import did_you_mean

_LIVE = tuple(category for category in BfclCategory if category.startswith("live_"))
_OTHERS = {BfclCategory.FORMAT_SENSITIVITY, *MEMORY, *MULTI_TURN, *_LIVE}
_NON_LIVE = tuple(category for category in BfclCategory if category not in _OTHERS)
_MULTI_TURN = tuple(category for category in BfclCategory if category in MULTI_TURN)

GROUPS: Mapping[str, Sequence[str]] = {
    "all": (*_NON_LIVE, *_LIVE, *_MULTI_TURN),
    "single_turn": (*_NON_LIVE, *_LIVE),
    "non_live": _NON_LIVE,
    "live": _LIVE,
    "multi_turn": _MULTI_TURN,
    "memory": tuple(category for category in BfclCategory if category in MEMORY),
}
"""Categories of each group. `all` leaves out memory and format_sensitivity, which take long."""

_NO_SEARCH = (
    "it needs a search engine on the web, which an evaluation does not reach; the report of a run with all other "
    "categories gives bounds of the overall score"
)
_NOT_OFFERED: Mapping[str, str] = {
    **dict.fromkeys(("web_search", "web_search_base", "web_search_no_snippet"), _NO_SEARCH),
    "agentic": f"its part memory is here; of web_search, {_NO_SEARCH}",
    "all_scoring": f"name all,memory; of web_search, {_NO_SEARCH}",
}
"""Why the leaderboard's other categories and groups are not here."""


def categories_of(value: str) -> list[str]:
    """Return the categories of names between commas, each once. Raises ValueError, with what there is."""
    found: dict[str, None] = {}
    for name in filter(None, (part.strip() for part in value.split(","))):
        if name not in GROUPS and name not in list(BfclCategory):
            known = [*GROUPS, *BfclCategory]
            near = did_you_mean(name, known)
            why = _NOT_OFFERED.get(name, f"there are: {', '.join(known)}{near}")
            raise ValueError(f"no category {name!r}; {why}")
        found |= dict.fromkeys(GROUPS.get(name, [name]))
    if not found:
        raise ValueError(f"no category is named; there are: {', '.join([*GROUPS, *BfclCategory])}")
    return [str(name) for name in found]
