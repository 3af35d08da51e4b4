"""Commands about verdicts: judge stored trajectories again, and compare two sets of verdicts."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import ConfigOption, Overrides, RunArgument

if TYPE_CHECKING:
    from agent.verdict import Verdict
    from judging.agreement import Agreement

SetOption = Annotated[str, typer.Option("--set", help="name of the set of verdicts")]
IterationOption = Annotated[int | None, typer.Option(help="one iteration; default: all", min=0, show_default=False)]
SHOWN = 10
"""Largest number of disagreements of a kind that are listed."""


def rejudge(
    run: RunArgument,
    overrides: Overrides = None,
    name: SetOption = "again",
    iteration: IterationOption = None,
    human: Annotated[
        Path | None, typer.Option(help="file of people's verdicts, which go before the run's own", show_default=False)
    ] = None,
    people: Annotated[
        bool, typer.Option(help="people's verdicts go first; without, the judges decide on everything, to be measured")
    ] = True,
    config: ConfigOption = None,
) -> None:
    """Judge a run's stored trajectories by another chain, into a set of verdicts beside the first.

    Example: rl-loop rejudge demo --set rubric 'judge.chain=[rubric]' 'judge.model={model: m, base_url: "http://127.0.0.1:8000"}'
    """
    from flows.settings.loop_config import load_config
    from flows.stages.rejudge import judged_stages, rejudge
    from flows.starting.starting import find_run

    folder = find_run(run, config)
    judge = load_config(folder.root / "config.yaml", overrides or []).judge
    keys = judged_stages(folder, iteration)
    for key, judged in asyncio.run(rejudge(folder, judge, name, keys, human=human, with_people=people)):
        rewards = [verdict.reward for verdict in judged.verdicts if verdict.reward is not None]
        rate = (
            f"success {sum(reward >= 1 for reward in rewards) / len(rewards):.1%} of {len(rewards)}"
            if rewards
            else "no reward"
        )
        print(f"{key}: {rate}, {len(judged.verdicts) - len(rewards)} without a reward, {judged.seconds:.1f} s")
    print(f"compare it with the first verdicts: rl-loop judge-report {run} --set {name}")


def judge_report(
    run: RunArgument,
    name: SetOption = "again",
    iteration: IterationOption = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help='JSON lines {"trajectory_id": .., "reward": .., "judge": person}; default: the run\'s own verdicts',
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Compare a set of verdicts with a reference: confusion, error rates, Cohen's kappa, cost, disagreements."""
    from flows.settings.hints import on_run
    from flows.stages.rejudge import judged_stages, set_folder, sets_of
    from flows.starting.starting import find_run
    from judging.agreement import agreement
    from storage.errors import LoopError
    from storage.verdicts import VERDICTS, read_verdict_lines, read_verdicts

    folder = find_run(run, config)
    judged: list[Verdict] = []
    first: list[Verdict] = []
    for key in judged_stages(folder, iteration):
        if (set_folder(folder, key, name) / VERDICTS).exists():
            judged += read_verdicts(set_folder(folder, key, name))
            first += read_verdicts(folder.stage_dir(*key))
    if not judged:
        known = ", ".join(sets_of(folder)) or "none"
        again = on_run("rejudge", folder.root, "--set", name)
        raise LoopError(f"run {folder.name} has no verdicts of the set {name} there; sets: {known}; {again} makes one")
    try:
        expected = first if reference is None else read_verdict_lines(reference)
    except ValueError as error:
        raise LoopError(str(error)) from error
    found = agreement(expected, judged)
    if not found.decided:
        raise LoopError("no trajectory has a reward on both sides, so there is nothing to compare")
    print(text_of(found, judged))
    for kind, names in (("false positive", found.false_positives), ("false negative", found.false_negatives)):
        for one in names[:SHOWN]:
            print(f"{kind}: {one}")
        if len(names) > SHOWN:
            print(f"{kind}: {len(names) - SHOWN} more")


def text_of(found: "Agreement", judged: "list[Verdict]") -> str:
    """The report's lines: confusion, rates, kappa, cost, and the unjudged by reason."""
    kappa, count = found.kappa, len(judged)
    reasons = Counter(verdict.unjudged or "no reason" for verdict in judged if verdict.reward is None)
    lines = [
        f"both decided on {found.decided} trajectories, {found.undecided} without a reward on one side",
        "                     reference success   reference failure",
        f"judge says success   {found.true_positives:17d}   {len(found.false_positives):17d}",
        f"judge says failure   {len(found.false_negatives):17d}   {found.true_negatives:17d}",
        f"false positives      {found.false_positive_rate or 'the reference has no failure'}",
        f"false negatives      {found.false_negative_rate or 'the reference has no success'}",
        f"Cohen's kappa        {'undefined: both always say the same' if kappa is None else f'{kappa:.3f}'}",
        f"per verdict          {sum(verdict.cost for verdict in judged) / count:.5f} cost, "
        f"{sum(verdict.tokens_in + verdict.tokens_out for verdict in judged) / count:.0f} tokens, "
        f"{sum(verdict.seconds for verdict in judged) / count:.2f} s",
    ]
    return "\n".join([*lines, *(f"unjudged, {reason}: {number}" for reason, number in sorted(reasons.items()))])
