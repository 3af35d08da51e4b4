"""The key of a verdict: a hash of all that it depends on. An equal key is an equal question, and is asked once."""

import hashlib
import json

from agent.types import Trajectory


def digest_of(trajectory: Trajectory) -> str:
    """Hash of a stored trajectory; its pictures are in it by their own hashes. The task's chain of judges is left out:
    who is asked changes no judge's verdict."""
    return hashlib.sha256(trajectory.model_dump_json(exclude={"task": {"judge"}}).encode()).hexdigest()


def verdict_key(trajectory: Trajectory, judge: str, model: str, prompt_version: str, settings: str) -> str:
    """The key. The rubric and the reference answer are the trajectory's, and are named for the reader of this line."""
    task = trajectory.task
    parts = [digest_of(trajectory), judge, model, prompt_version, settings, task.rubric, task.reference_answer]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
