"""What each miner of a subnet earns from epoch to epoch, as a plot of text. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BARS = " ▁▂▃▄▅▆▇█"
U16 = 65535
WIDTH = 60
"""Epochs that a plot shows, the newest ones."""


@dataclass
class Emission:
    """Incentives by hotkey, epoch by epoch, as the chain's state showed them."""

    epochs: list[int] = field(default_factory=list)
    incentives: list[dict[str, int]] = field(default_factory=list)
    """Of each epoch: u16 by hotkey; together they are a whole."""

    def observe(self, state: Mapping[str, Any]) -> None:
        """Take in the chain's state; of an epoch that was seen before, nothing."""
        epoch = int(state["epoch"])
        if self.epochs and epoch <= self.epochs[-1]:
            return
        self.epochs.append(epoch)
        self.incentives.append({str(neuron["hotkey"]): int(neuron["incentive"]) for neuron in state["neurons"]})

    def paying(self, hotkeys: Collection[str]) -> int:
        """Return the number of epochs in which any of these hotkeys has earned something."""
        return sum(1 for each in self.incentives if any(each.get(hotkey) for hotkey in hotkeys))


def plot(emission: Emission, names: Mapping[str, str], *, title: str) -> str:
    """Return a line for each miner in `names`, or that has earned: its share in each epoch as a bar, and the last one.

    `names` are names of hotkeys. A full bar is the largest share of any miner in any epoch.
    """
    shown = emission.incentives[-WIDTH:]
    last = shown[-1] if shown else {}
    hotkeys = [h for h in {**names, **last} if h in names or any(each.get(h) for each in shown)]
    hotkeys.sort(key=lambda hotkey: (-last.get(hotkey, 0), names.get(hotkey, hotkey)))
    top = max((each.get(hotkey, 0) for each in shown for hotkey in hotkeys), default=0)
    wide = max((len(names.get(hotkey, hotkey[:12])) for hotkey in hotkeys), default=0)
    span = f"epochs {emission.epochs[-len(shown)]} to {emission.epochs[-1]}" if shown else "no epoch yet"
    lines = [f"{title}: each miner's share of the emission, {span}; a full bar is {top / U16:.0%}"]
    for hotkey in hotkeys:
        bars = "".join(bar(each.get(hotkey, 0), top) for each in shown)
        lines.append(f"  {names.get(hotkey, hotkey[:12]):<{wide}}  {bars}  {last.get(hotkey, 0) / U16:6.1%}")
    return "\n".join(lines)


def bar(value: int, top: int) -> str:
    """Return one bar; a share that is not 0 is always visible."""
    if value <= 0 or top <= 0:
        return BARS[0]
    return BARS[max(1, round(value / top * (len(BARS) - 1)))]


def shares(emission: Emission, names: Mapping[str, str]) -> Sequence[tuple[str, float]]:
    """Return the last epoch's shares by name, the largest first; those that earned nothing are left out."""
    last = emission.incentives[-1] if emission.incentives else {}
    found = [(names.get(hotkey, hotkey), value / U16) for hotkey, value in last.items() if value]
    return sorted(found, key=lambda each: (-each[1], each[0]))
