"""Demonstrations from a run: successful turns without tokens, played by a script, a person or a vendor's model."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agent.config import AgentConfig
from agent.prompting.budget import PromptTooLong
from agent.prompting.control_tokens import ControlTokens
from agent.prompting.demonstrations import demonstrated
from agent.prompting.tokenizer_files import control_tokens
from agent.types import Step, Trajectory
from flows.settings.run_folder import RunFolder
from storage.atomic import replacing
from training.demonstrations import Turn
from training.sft import best_of, successes

logger = logging.getLogger(__name__)


class Counted(NamedTuple):
    """Turns that were written, and those that can't be imitated."""

    turns: int
    left_out: int


def write_demonstrations(
    folder: RunFolder, stages: Sequence[tuple[Path, Path]], policy: Path, file: Path, *, best: int
) -> Counted:
    """Writes the turns of the best successes of stages (folder and verdicts) that have no tokens, one JSON object a line.

    Prompts are those of the run's `agent` settings, so that a policy is asked later as it was shown.
    """
    config, control = folder.config.agent, control_tokens(policy)
    counted = Counter[bool]()
    with replacing(file) as partial, partial.open("w") as lines:
        for one in best_of(successes(stages, folder.config.update.success_reward), best):
            for step in one.trajectory.steps:
                if step.completion is not None and step.completion.token_ids:
                    continue
                turn = _turn(one.trajectory, step, config, control)
                counted[turn is not None] += 1
                if turn is not None:
                    lines.write(f"{turn.model_dump_json()}\n")
    return Counted(turns=counted[True], left_out=counted[False])


def _turn(trajectory: Trajectory, step: Step, config: AgentConfig, control: ControlTokens) -> Turn | None:
    try:
        shown = demonstrated(trajectory.goal, trajectory.steps[: step.index], step, config, control)
    except (PromptTooLong, ValueError) as error:
        logger.warning("%s, step %d is left out: %s", trajectory.id, step.index, error)
        return None
    if shown is None:
        return None
    return Turn(trajectory_id=trajectory.id, step=step.index, **shown._asdict())
