"""Episodes as terminal cells: as large as the room allows, grouped by task; the most relevant ones if too many.

labelled    click-link.3017   m12 34s  a0  2s  +7        a row per task, each cell with its step and the seconds of its phase
blocks      m12 a0  +7  .    m3  +4  -9  .               three characters: phase and step
dots        3a.+-++.  ..+-+..                            one character: the step while it is played, else the result
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from rich.text import Text

from flows.monitor.model import OVER, PLAYING, Episode, EpisodeGroup, State

LABEL = 24
"""Longest part of a task's id that is shown, in characters."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Steps as one character; `*` for more."""


class Look(NamedTuple):
    """How a state is drawn."""

    symbol: str
    style: str


LOOKS: dict[State, Look] = {
    State.WAITING: Look(".", "grey50"),
    State.SERVE: Look("s", "white on grey35"),
    State.ALLOCATE: Look("a", "black on magenta"),
    State.NAVIGATE: Look("n", "black on cyan"),
    State.MODEL: Look("m", "black on yellow"),
    State.ACT: Look("c", "black on dodger_blue1"),
    State.RECORD: Look("r", "black on turquoise2"),
    State.JUDGE: Look("j", "black on plum1"),
    State.PARKED: Look("p", "black on grey70"),
    State.DONE: Look("o", "white"),
    State.SUCCESS: Look("+", "bold green"),
    State.FAILURE: Look("-", "red"),
    State.BROKEN_INFRA: Look("I", "bold white on red"),
    State.BROKEN_SITE: Look("S", "bold black on dark_orange"),
    State.BROKEN_POLICY: Look("P", "bold white on purple"),
    State.BROKEN_JUDGE: Look("J", "bold white on deep_pink4"),
    State.LEFT_OUT: Look("/", "grey50"),
}


class Size(NamedTuple):
    """How large cells are."""

    width: int
    gap: int
    """Between two cells of a group."""
    between: int
    """Between two groups."""


LABELLED, BLOCKS, DOTS = Size(8, 1, 0), Size(3, 1, 3), Size(1, 0, 1)


def grid(groups: list[EpisodeGroup], *, width: int, rows: int, now: float, coloured: bool = True) -> list[Text]:
    """At most `rows` lines of at most `width` characters. Without colours a one-character cell shows the phase."""
    if not groups or rows < 1:
        return []
    label = min(LABEL, max(len(group.name) for group in groups)) + 2
    longest = max(len(group.episodes) for group in groups)
    if len(groups) <= rows and label + longest * (LABELLED.width + LABELLED.gap) <= width:
        return [_labelled(group, label, now) for group in groups]
    for size in (BLOCKS, DOTS):
        lines = _flow(groups, size, width, coloured)
        if len(lines) <= rows:
            return [line for line, _ in lines]
    return _most_important(groups, width, rows, coloured)


def _labelled(group: EpisodeGroup, label: int, now: float) -> Text:
    name = group.name if len(group.name) <= LABEL else f"{group.name[: LABEL - 2]}.."
    line = Text(name.ljust(label))
    for episode in group.episodes:
        look = LOOKS[episode.state]
        step = "" if episode.steps is None else str(episode.steps)
        age = short_time(now - episode.since) if episode.since is not None else ""
        line.append(f"{look.symbol}{step:<3}{age:>4}"[: LABELLED.width], look.style)
        line.append(" " * LABELLED.gap)
    return line


def _flow(groups: Iterable[EpisodeGroup], size: Size, width: int, coloured: bool) -> list[tuple[Text, int]]:
    """Lines filled with groups, and their episode counts; only a group longer than a line is split."""
    most = max(1, (width + size.gap) // (size.width + size.gap))
    lines: list[tuple[Text, int]] = []
    line, count = Text(), 0
    for group in groups:
        between = size.gap if len(group.episodes) == 1 else size.between  # groups of one need no frame
        for start in range(0, len(group.episodes), most):
            part = group.episodes[start : start + most]
            needed = len(part) * (size.width + size.gap) - size.gap
            if count and len(line) + between + needed > width:
                lines.append((line, count))
                line, count = Text(), 0
            if count:
                line.append(" " * between)
            for place, episode in enumerate(part):
                line.append(" " * (size.gap if place else 0))
                line.append(_cell(episode, size.width, coloured), LOOKS[episode.state].style)
            count += len(part)
    return [*lines, (line, count)] if count else lines


def _cell(episode: Episode, width: int, coloured: bool) -> str:
    symbol = LOOKS[episode.state].symbol
    if width > 1:
        return f"{symbol}{'' if episode.steps is None else min(episode.steps, 99)}".ljust(width)
    if episode.state not in PLAYING or not coloured or episode.steps is None:
        return symbol
    return DIGITS[episode.steps] if episode.steps < len(DIGITS) else "*"


def _most_important(groups: list[EpisodeGroup], width: int, rows: int, coloured: bool) -> list[Text]:
    """The groups being played and their neighbours in the plan, and a line with the counts of the others."""
    active = [any(episode.state in PLAYING for episode in group.episodes) for group in groups]
    centre = _centre(groups, active)
    by_weight = sorted(range(len(groups)), key=lambda place: (not active[place], abs(place - centre)))

    def of_most_weight(count: int) -> list[EpisodeGroup]:
        return [groups[place] for place in sorted(by_weight[:count])]

    def lines_of(count: int) -> int:
        return len(_flow(of_most_weight(count), DOTS, width, coloured))

    shown = of_most_weight(max(1, bisect_right(range(1, len(groups)), rows - 1, key=lines_of)))
    lines = _flow(shown, DOTS, width, coloured)[: rows - 1]
    in_order = [episode for group in shown for episode in group.episodes]
    seen = {episode.id for episode in in_order[: sum(count for _, count in lines)]}
    hidden = [episode for group in groups for episode in group.episodes if episode.id not in seen]
    over = sum(episode.state in OVER for episode in hidden)
    more = Text(f"+{len(hidden):,} more: {over:,} over, {len(hidden) - over:,} not over", "italic")
    return [*(line for line, _ in lines), more]


def _centre(groups: list[EpisodeGroup], active: list[bool]) -> int:
    """The stage's position in the plan: the middle of the groups being played, else the first that is not over."""
    places = [place for place, is_active in enumerate(active) if is_active]
    if places:
        return places[len(places) // 2]
    unfinished = (place for place, group in enumerate(groups) if any(one.state not in OVER for one in group.episodes))
    return next(unfinished, 0)


def short_time(seconds: float) -> str:
    """At most four characters. Example: `short_time(90)` is `1m`."""
    seconds = max(0.0, seconds)
    for limit, unit, name in ((100, 1, "s"), (100 * 60, 60, "m"), (100 * 3_600, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f}{name}"
    return f"{min(seconds / 86_400, 999):.0f}d"
