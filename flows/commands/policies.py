"""Commands about policies: a warm start from a run's best trajectories, and a version as a folder for others."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import ConfigOption, RunArgument

ToOption = Annotated[Path, typer.Option("--to", help="folder to write; it must not exist")]


def sft(
    run: RunArgument,
    to: ToOption,
    policy: Annotated[
        Path | None, typer.Option(help="folder to begin with; default: the run's first policy", show_default=False)
    ] = None,
    best: Annotated[int, typer.Option(min=1, help="successes of each task, the shortest first")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="passes over their steps")] = 1,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="learning rate of AdamW")] = 1e-6,
    minibatches: Annotated[int, typer.Option(min=1, help="optimiser steps per pass")] = 16,
    config: ConfigOption = None,
) -> None:
    """Fine-tune a policy on the best trajectories of a run, by imitation: a warm start for another run.

    A run that a script or a vendor's model played is a set of demonstrations: rl-loop run 'agent.model={kind: scripted}'
    iterations=1 --name shown

    Example: rl-loop sft demo --to policies/warm --learning-rate 1e-4; rl-loop run policy.model=policies/warm
    """
    import subprocess

    from flows.stages.warm_start import Imitation, sft_command
    from flows.starting.starting import find_run

    settings = Imitation(best, epochs, learning_rate, minibatches)
    with sft_command(find_run(run, config), to, policy, settings) as command:
        status = subprocess.run(command, check=False).returncode
    if status:
        raise typer.Exit(status)
    print(f"{to} is a policy; rl-loop run policy.model={to} begins with it")


def export_policy(
    run: RunArgument,
    to: ToOption,
    version: Annotated[
        int | None, typer.Option(min=0, help="default: the best on held-out tasks, else the newest", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a version of a run's policy as a Hugging Face folder with a model card: recipe, curve, data and limits.

    Example: rl-loop export-policy demo --to policies/demo-best
    """
    from flows.stages.policy_update import best_version
    from flows.starting.starting import find_run
    from flows.tracking.summary import rows
    from storage.errors import LoopError
    from training import model_folder
    from training.checkpointing.checkpoints import checkpoint_path, latest, read_checkpoint
    from training.errors import UpdateError

    folder = find_run(run, config)
    newest = latest(folder.policies)
    chosen = version if version is not None else next(iter(best_version(folder)), newest.version if newest else 0)
    curve = [model_folder.Point(row.iteration, row.train_success, row.heldout_success) for row in rows(folder)]
    environment = folder.config.environment
    data = (
        f"Tasks of the environment `{environment.name}`"
        + (f" ({', '.join(environment.domains)})" if environment.domains else "")
        + f", {folder.config.rollout.groups_per_iteration} groups of {folder.config.rollout.group_size} episodes per iteration."
    )
    try:
        checkpoint = read_checkpoint(checkpoint_path(folder.policies, chosen))
        card = model_folder.card_of(checkpoint, name=folder.name, data=data, curve=curve)
        model_folder.export_policy(checkpoint, to, card)
    except UpdateError as error:
        raise LoopError(str(error)) from error
    print(f"version {chosen} of {folder.name} is in {to}")
