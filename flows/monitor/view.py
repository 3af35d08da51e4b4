"""Rendering of a snapshot: a view for a terminal, or one line for a log.

demo  iteration 3/10  rollout  14m                                       head
━━━━━━━━━━━━━━━━━━━  1,240/2,000  62%  9,412 steps                       progress
success 48.2% of 400   5.2 episodes/min   31.0 steps/s   ETA 2h          success rate and pace
slots 30/32   588 queued   browsers 30/64   vLLM 28 running, 12 waiting  utilization
broken attempts: infra BROWSER_CRASHED 3   site NAVIGATION_TIMEOUT 4
                                                                         the cells: monitor_grid.py
. waiting 588   m model 25   + success 190   - failure 210  ..           legend, with counts
"""

import time
from collections.abc import Iterable, Iterator

from rich.console import Group
from rich.text import Text

from flows.monitor.grid import LOOKS, grid, short_time
from flows.monitor.model import OVER, PLAYING, Snapshot, State
from flows.monitor.monitor import SILENT_S
from flows.services.load import Services
from storage.stages import Stage

GAP = "   "
"""Between two facts of a line."""
SHOWN_CODES = 12
"""Kinds of broken attempts that are listed; the rest are only counted."""
SHOWN_HOSTS = 3
"""Paused hosts that are named."""
BAR = ((State.SUCCESS,), (State.FAILURE,), (State.DONE,), tuple(state for state in OVER if "broken" in state), PLAYING)
BAR_STYLES = ("green", "red", "white", "dark_orange", "yellow")


def picture(snapshot: Snapshot, services: Services, *, width: int, height: int, coloured: bool = True) -> Group:
    """The whole view, at most `height` lines of at most `width` characters."""
    above = [
        _joined(_head(snapshot), width),
        _how_far(snapshot, width),
        *_flowing((*_how_well(snapshot), *_what_is_busy(snapshot, services)), width),
        *_flowing(_broken(snapshot), width)[:2],
        Text(),
    ]
    legend = _flowing(_legend(snapshot), width)
    room = height - len(above) - len(legend) - 1
    cells = grid(snapshot.groups, width=width, rows=room, now=time.time(), coloured=coloured)
    lines = [*above, *(cells or [Text(_nothing(snapshot), "dim")]), Text(), *legend][:height]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


def plain_line(snapshot: Snapshot, services: Services) -> str:
    """The same facts in one line, without cells."""
    head = " ".join(part.plain for part in _head(snapshot))
    facts = [f"{snapshot.over}/{snapshot.total} over"]
    facts += [part.plain for part in (*_how_well(snapshot), *_what_is_busy(snapshot, services))]
    if snapshot.attempts:
        sides: dict[str, int] = {}
        for (side, _), count in snapshot.attempts.items():
            sides[side] = sides.get(side, 0) + count
        by_side = ", ".join(f"{side} {count}" for side, count in sorted(sides.items()))
        facts.append(f"{snapshot.attempts.total()} broken attempts ({by_side})")
    return f"{head}: {', '.join(facts)}"


def what_changed(snapshot: Snapshot) -> tuple[object, ...]:
    """A key that is equal for two snapshots between which nothing worth a new line has changed."""
    return (
        *(snapshot.key, snapshot.current, snapshot.is_finished, snapshot.counts, snapshot.steps, snapshot.judged),
        *(snapshot.attempts.total(), snapshot.progress, _is_silent(snapshot)),
    )


def _head(snapshot: Snapshot) -> Iterator[Text]:
    yield Text(snapshot.run, "bold")
    yield Text(f"iteration {snapshot.key.iteration}/{snapshot.iterations}")
    yield Text(snapshot.key.stage, "cyan")
    if snapshot.is_finished:
        yield Text(
            "finished" + (f" in {short_time(snapshot.seconds)}" if snapshot.seconds is not None else ""), "green"
        )
    elif snapshot.seconds is not None:
        yield Text(short_time(snapshot.seconds))
    if _is_silent(snapshot):
        yield Text(f"nothing written for {short_time(snapshot.silent_s or 0)}", "bold red")
    if snapshot.current is not None and snapshot.current != snapshot.key:
        yield Text(f"now {snapshot.current}{_stage_progress(snapshot)}", "cyan")
    elif snapshot.progress.note and not snapshot.is_finished:
        yield Text(snapshot.progress.note)


def _stage_progress(snapshot: Snapshot) -> str:
    """Progress of a stage that has no episodes to show."""
    progress = snapshot.progress
    if snapshot.current is None or snapshot.current.stage not in (Stage.JUDGE, Stage.POLICY_UPDATE):
        return ""
    return f" {progress.note}" if progress.note else f" {progress.done}/{progress.total}" if progress.done else ""


def _is_silent(snapshot: Snapshot) -> bool:
    return snapshot.silent_s is not None and snapshot.silent_s > SILENT_S


def _nothing(snapshot: Snapshot) -> str:
    """The text in place of cells."""
    return "no room for cells: make the window larger" if snapshot.groups else "not planned yet"


def _how_far(snapshot: Snapshot, width: int) -> Text:
    share = f"{snapshot.over / snapshot.total:.0%}" if snapshot.total else "0%"
    facts = f"{snapshot.over:,}/{snapshot.total:,}{GAP}{share}{GAP}{snapshot.steps:,} steps"
    line = _bar(snapshot, max(10, min(width - len(facts) - len(GAP), 100)))
    return line.append(GAP + facts)


def _bar(snapshot: Snapshot, width: int) -> Text:
    """A bar of finished, running and waiting episodes."""
    line, reached, drawn = Text(), 0, 0
    for states, style in zip(BAR, BAR_STYLES, strict=True):
        reached += sum(snapshot.counts[state] for state in states)
        end = round(width * reached / snapshot.total) if snapshot.total else 0
        line.append("━" * (end - drawn), style)
        drawn = end
    return line.append("━" * (width - drawn), "grey23")


def _how_well(snapshot: Snapshot) -> Iterator[Text]:
    if snapshot.success_rate is not None:
        yield Text(f"success {snapshot.success_rate:.1%} of {snapshot.judged:,}", "bold")
    pace = snapshot.pace
    if pace.episodes_per_min is not None:
        yield Text(f"{pace.episodes_per_min:.1f} episodes/min")
    if pace.steps_per_s is not None:
        yield Text(f"{pace.steps_per_s:.1f} steps/s")
    if pace.eta_s is not None:
        yield Text(f"ETA {short_time(pace.eta_s)}")


def _what_is_busy(snapshot: Snapshot, services: Services) -> Iterator[Text]:
    if snapshot.slots:
        yield Text(f"slots {snapshot.playing}/{snapshot.slots} busy")
    if snapshot.queued:
        yield Text(f"{snapshot.queued:,} queued")
    for host, left_s in sorted(snapshot.paused.items())[:SHOWN_HOSTS]:
        yield Text(f"{host} paused for {short_time(left_s)}", "dark_orange")
    if browsers := services.browsers:
        waiting = f", {browsers.queue} waiting" if browsers.queue else ""
        yield Text(f"browsers {browsers.leased}/{browsers.capacity} leased{waiting}")
    if model := services.model:
        yield Text(f"vLLM {model.running} running, {model.waiting} waiting")


def _broken(snapshot: Snapshot) -> Iterator[Text]:
    if not snapshot.attempts:
        return
    yield Text("broken attempts:")
    for (side, code), count in snapshot.attempts.most_common(SHOWN_CODES):
        printable = "".join(char if char.isprintable() else "?" for char in code)
        look = LOOKS[State(f"broken by {side}")]
        yield Text.assemble((look.symbol, look.style), f" {side} {printable} {count:,}")
    if len(snapshot.attempts) > SHOWN_CODES:
        yield Text(f"{len(snapshot.attempts) - SHOWN_CODES} other kinds")


def _legend(snapshot: Snapshot) -> Iterator[Text]:
    for state, look in LOOKS.items():
        if count := snapshot.counts[state]:
            yield Text.assemble((look.symbol, look.style), f" {state} {count:,}")
    if snapshot.playing:
        yield Text("number: steps (a is 10)", "dim")


def _joined(parts: Iterable[Text], width: int) -> Text:
    line = Text("  ").join(parts)
    line.truncate(width, overflow="ellipsis")
    return line


def _flowing(parts: Iterable[Text], width: int) -> list[Text]:
    """Fills lines with parts, as many in each as fit."""
    lines: list[Text] = []
    for part in parts:
        if lines and len(lines[-1]) + len(GAP) + len(part) <= width:
            lines[-1].append(GAP).append_text(part)
        else:
            lines.append(Text().append_text(part))  # a new line object: appended to the part, all would get its style
    return lines
