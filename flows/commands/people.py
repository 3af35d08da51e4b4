"""Command for people's verdicts: list what was decided about a trajectory, and decide."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigOption, RunArgument

if TYPE_CHECKING:
    from pathlib import Path

    from agent.verdict import Verdict
    from storage.human_verdicts import HumanVerdict

RewardOption = Annotated[float | None, typer.Option(help="reward from 0 to 1", show_default=False)]
BlockedOption = Annotated[bool, typer.Option("--blocked", help="the site blocked the visit: no reward, and no failure")]
ByOption = Annotated[str | None, typer.Option(help="name of the person who decides", show_default=False)]


def verdict(
    run: RunArgument,
    trajectory: Annotated[str, typer.Argument(help="id of the trajectory")],
    reward: RewardOption = None,
    blocked: BlockedOption = False,
    by: ByOption = None,
    note: Annotated[str, typer.Option(help="the reason, in one line", show_default=False)] = "",
    config: ConfigOption = None,
) -> None:
    """Decide about a trajectory as a person, before every judge; without --reward or --blocked, list what was decided.

    Example: rl-loop verdict demo i0001-click-test.4-m00 --reward 1 --by anna --note "the order is there"
    """
    from flows.stages.people import effect_of, place_of
    from flows.starting.starting import find_run
    from storage.errors import LoopError
    from storage.human_verdicts import append_human, read_human

    folder = find_run(run, config)
    place = place_of(folder, trajectory)
    said = [one for one in read_human(place.file) if one.trajectory_id == trajectory]
    before = [line_of(one.verdict()) for one in said]
    if (judged := _judged(place.directory, trajectory)) is not None and not judged.person:
        before.insert(0, line_of(judged))
    for line in before:
        print(line)
    if reward is None and not blocked:
        if not before:
            print(f"nobody has decided about {trajectory} yet; --reward or --blocked, with --by, decides")
        return
    if by is None:
        raise LoopError("a person's verdict needs a name; add --by NAME")
    decision = _decision(trajectory, reward, blocked, by, note)
    append_human(place.file, decision)
    print(f"recorded: {line_of(decision.verdict())}")
    print(effect_of(folder, place))


def line_of(verdict: "Verdict") -> str:
    """A verdict as a line. Example: `human: reward 1; decided by anna at 2026-11-29T10:15:00+00:00: the order is there`."""
    outcome = "blocked" if verdict.blocked else "unjudged" if verdict.reward is None else f"reward {verdict.reward:g}"
    return f"{verdict.judge}: {outcome}; {ascii_safe(verdict.evidence)}"


def ascii_safe(text: str) -> str:
    """Text that others wrote, for a terminal: control characters are left out."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _decision(trajectory: str, reward: float | None, blocked: bool, by: str, note: str) -> "HumanVerdict":
    from pydantic import ValidationError

    from storage.errors import LoopError
    from storage.human_verdicts import HumanVerdict

    try:
        return HumanVerdict(
            trajectory_id=trajectory, reward=reward, blocked=blocked, person=by, at=datetime.now(UTC), note=note
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise LoopError(f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}") from error


def _judged(directory: "Path", trajectory: str) -> "Verdict | None":
    from storage.verdicts import VERDICTS, read_verdicts

    if not (directory / VERDICTS).exists():
        return None
    return next((one for one in read_verdicts(directory) if one.trajectory_id == trajectory), None)
