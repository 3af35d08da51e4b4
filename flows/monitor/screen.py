"""Display of a run: a live view on a terminal, lines elsewhere, until no further change is expected."""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.live import Live

from flows.monitor.console import console
from flows.monitor.model import Snapshot
from flows.monitor.monitor import Monitor
from flows.monitor.view import picture, plain_line, what_changed
from flows.services.load import Asker, Services

LOOK_EVERY_S = 1.0
LINE_EVERY_S = 5.0
"""Seconds between two plain lines."""
READ_S = 0.5
"""Seconds of a refresh that may go into reading trajectories: the first view appears at once, and fills up."""
PAPER_HEIGHT = 50
"""Lines of a view where there is no terminal."""

Show = Callable[[Snapshot, Services], None]


def print_once(monitor: Monitor, asker: Asker, *, plain: bool) -> None:
    """Prints one view, or one line."""
    out, snapshot, services = console(), monitor.look(), asker.newest(wait=True)
    if plain:
        out.print(plain_line(snapshot, services), markup=False, highlight=False, soft_wrap=True)
    else:
        print_picture(out, snapshot, services)


def print_picture(out: Console, snapshot: Snapshot, services: Services) -> None:
    """Prints the view as large as the terminal; the last line is left for the prompt."""
    height = out.height - 1 if out.is_terminal else PAPER_HEIGHT
    out.print(picture(snapshot, services, width=out.width, height=height, coloured=_is_coloured(out)))


def watch(monitor: Monitor, asker: Asker, *, plain: bool, also: Show | None = None, stay: bool = False) -> None:
    """Show the run until its end, or until interrupted with `stay`. `also` receives every snapshot that is shown."""
    if monitor.is_over() and not stay:
        print_once(monitor, asker, plain=plain)
        return
    with _screen(plain=plain) as show:
        is_over = False
        while not is_over or stay:
            # Asked before reading, so that what is written between the two is in the last view.
            is_over = monitor.is_over()
            snapshot, services = monitor.look(read_s=None if is_over and not stay else READ_S), asker.newest()
            show(snapshot, services)
            if also:
                also(snapshot, services)
            if not is_over or stay:
                time.sleep(LOOK_EVERY_S)


def _screen(*, plain: bool) -> AbstractContextManager[Show]:
    out = console()
    return _lines(out) if plain or not out.is_terminal else _live(out)


@contextmanager
def _live(out: Console) -> Generator[Show]:
    """A full screen that is removed at the end; the last view stays."""
    last: tuple[Snapshot, Services] | None = None
    try:
        with Live(console=out, screen=True, auto_refresh=False) as live:

            def show(snapshot: Snapshot, services: Services) -> None:
                nonlocal last
                last = (snapshot, services)
                coloured = _is_coloured(out)
                view = picture(snapshot, services, width=out.width, height=out.height, coloured=coloured)
                live.update(view, refresh=True)

            yield show
    finally:
        if last:
            print_picture(out, *last)


@contextmanager
def _lines(out: Console) -> Generator[Show]:
    """Prints a line every `LINE_EVERY_S` seconds, if something has changed."""
    printed: tuple[object, ...] = ()
    stage: tuple[object, ...] = ()
    at = 0.0

    def show(snapshot: Snapshot, services: Services) -> None:
        nonlocal printed, stage, at
        news, stage_now = what_changed(snapshot), (snapshot.key, snapshot.is_finished)
        is_urgent = stage_now != stage  # a stage that begins and ends between two lines is shown all the same
        if news == printed or not (is_urgent or time.monotonic() - at >= LINE_EVERY_S):
            return
        printed, stage, at = news, stage_now, time.monotonic()
        line = f"{time.strftime('%H:%M:%S')} {plain_line(snapshot, services)}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)

    yield show


def _is_coloured(out: Console) -> bool:
    return out.color_system is not None and not out.no_color
