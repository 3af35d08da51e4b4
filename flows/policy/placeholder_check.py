"""A check of the doctor: prompts of stored trajectories hold as many picture placeholders as their pictures produce.

A prompt with another number cannot be trained on: text of a page, a goal or a reply became a control token, or the
server prepares pictures differently from the trainer.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agent.profiles import PictureRule
from agent.types import Completion, Trajectory
from flows.settings.run_folder import RunFolder
from storage.errors import LoopError
from storage.stages import Stage
from storage.store import CorruptTrajectory, TrajectoryStore
from training.checkpointing.checkpoints import checkpoint_path, versions

SHOWN = 5
"""Steps that are listed; the rest are only counted."""


class PictureTokens(NamedTuple):
    """The picture placeholder of a Qwen-VL policy, and the rule for the number of placeholders per picture."""

    token: int
    rule: PictureRule


def placeholders(folder: RunFolder) -> str:
    """Checks that every prompt of the trained policy holds the placeholders of its pictures and no others."""
    tokens = picture_tokens(_policy(folder))
    if tokens is None:
        return "not checked: the policy's files do not say how many placeholders a picture takes"
    checked, wrong = 0, []
    for path in sorted(path for one in folder.iteration_dirs() for path in one.glob("*")):
        if path.name not in (Stage.ROLLOUT, Stage.EVALUATE):
            continue
        store = TrajectoryStore(path)
        for name in store.ids():
            try:
                trajectory = store.read(name)
            except (CorruptTrajectory, FileNotFoundError):  # reported by the check of trajectories
                continue
            found = list(misfits(trajectory, tokens))
            wrong += [f"{path / name}, {problem}" for problem in found]
            checked += 1
    if wrong:
        more = f"\n(and {len(wrong) - SHOWN} more steps)" if len(wrong) > SHOWN else ""
        raise LoopError("\n".join(wrong[:SHOWN]) + more)
    return f"the prompts of {checked} trajectories hold the placeholders of their pictures"


def misfits(trajectory: Trajectory, tokens: PictureTokens) -> Iterator[str]:
    """A sentence for each step whose prompt has too many placeholders or too few."""
    seen = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
    shots = {
        page.screenshot.sha256: page.screenshot for page in seen if page is not None and page.screenshot is not None
    }
    for step in trajectory.steps:
        said = step.completion
        if said is None or not _is_the_policys(said) or not shots.keys() >= set(said.images):
            continue
        expected = sum(tokens.rule.tokens(shots[sha256].width, shots[sha256].height) for sha256 in said.images)
        found = said.prompt_token_ids.count(tokens.token)
        if found != expected:
            yield (
                f"step {step.index}: its prompt has {found} picture placeholders, but its {len(said.images)} pictures make "
                f"{expected}; no update can learn from this step: text of a page became a control token, or vLLM "
                "prepares pictures with other settings than the policy's processor"
            )


def picture_tokens(model: Path) -> PictureTokens | None:
    """Read from the configurations of the model and its picture processor; None where they do not say."""
    processor = _read(model / "processor_config.json").get("image_processor") or _read(
        model / "preprocessor_config.json"
    )
    size = processor.get("size") or {}
    numbers = (
        _read(model / "config.json").get("image_token_id"),
        processor.get("min_pixels", size.get("shortest_edge")),
        processor.get("max_pixels", size.get("longest_edge")),
        processor.get("patch_size"),
        processor.get("merge_size"),
    )
    match numbers:
        case (int(token), int(least), int(most), int(patch), int(merge)):
            return PictureTokens(token, PictureRule(cell=patch * merge, least=least, most=most, around=0))
    return None


def _is_the_policys(completion: Completion) -> bool:
    return completion.policy_version is not None and bool(completion.prompt_token_ids)


def _policy(folder: RunFolder) -> Path:
    known = versions(folder.policies)
    return checkpoint_path(folder.policies, known[-1]) if known else folder.config.policy.model


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
