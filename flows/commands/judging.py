"""`rl-loop rejudge`: judge stored trajectories again, into a set of verdicts beside the first."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import ConfigOption, Overrides, RunArgument

SetOption = Annotated[
    str | None,
    typer.Option("--set", help="name of the set of verdicts; default: again, or the judge's", show_default=False),
]
IterationOption = Annotated[int | None, typer.Option(help="one iteration; default: all", min=0, show_default=False)]


def rejudge(
    run: RunArgument,
    overrides: Overrides = None,
    name: SetOption = None,
    iteration: IterationOption = None,
    judge: Annotated[
        str | None, typer.Option(help="ask this judge alone: verifier, answer, rubric or panel", show_default=False)
    ] = None,
    human: Annotated[
        Path | None, typer.Option(help="file of people's verdicts, which go before the run's own", show_default=False)
    ] = None,
    people: Annotated[
        bool, typer.Option(help="people's verdicts go first; without, the judges decide on everything, to be measured")
    ] = True,
    config: ConfigOption = None,
) -> None:
    """Judge a run's stored trajectories by another chain, into a set of verdicts beside the first.

    Example: rl-loop rejudge demo --judge rubric 'judge.model={model: m, base_url: "http://127.0.0.1:8000"}'
    """
    from flows.settings.loop_config import load_config
    from flows.stages.rejudge import judged_stages, rejudge
    from flows.starting.starting import find_run

    folder = find_run(run, config)
    alone = [f"judge.chain={json.dumps([judge])}"] if judge else []
    judges = load_config(folder.config_file, [*(overrides or []), *alone]).judge
    keys, name = judged_stages(folder, iteration), name or judge or "again"
    for key, judged in asyncio.run(rejudge(folder, judges, name, keys, human=human, with_people=people)):
        rewards = [verdict.reward for verdict in judged.verdicts if verdict.reward is not None]
        rate = (
            f"success {sum(reward >= 1 for reward in rewards) / len(rewards):.1%} of {len(rewards)}"
            if rewards
            else "no reward"
        )
        print(f"{key}: {rate}, {len(judged.verdicts) - len(rewards)} without a reward, {judged.seconds:.1f} s")
    print(f"compare it with the first verdicts: rl-loop judge-report {run} --set {name}")
