"""Trajectories in WebGym's fields: a list of steps, each with observation, action, response and reward, as plain JSON.

WebGym stores pickled objects with these fields. Three of them can't be filled from a stored trajectory and are empty:
`raw_prompt`, `submission_judgment` and the image of an episode whose pictures are not at hand.
"""

from collections.abc import Callable
from typing import Any

from agent.types import Step, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation
from rollouts.async_webgym.actions import webgym_action

ImagePath = Callable[[str, int], str | None]
"""The path of a picture by its sha256 and its step; None if there is no file of it."""


def webgym_task(task: Task, goal: str, *, index: int) -> dict[str, Any]:
    """A task in the fields of WebGym's `Task`; `index` tells the repetitions of one task apart."""
    level = task.labels.get("attempt_level", "0")
    return {
        "task_id": int(task.id) if task.id.isdigit() and str(int(task.id)) == task.id else task.id,
        "task_name": goal or task.goal,
        "domain": task.domain,
        "subdomain": task.labels.get("subdomain", ""),
        "website": task.start_url,
        "difficulty": task.difficulty,
        "evaluator_reference": [{"description": fact, "difficulty": 1} for fact in task.rubric],
        "reference_answer": task.reference_answer or "",
        "attempt_level": int(level) if level.isdigit() else 0,
        "max_steps": task.max_steps,
        "trajectory_index": index,
    }


def webgym_steps(
    trajectory: Trajectory, verdict: Verdict | None, *, index: int, image_path: ImagePath
) -> list[dict[str, Any]]:
    """The steps of a trajectory in WebGym's fields; an episode that broke before its first step has one without an action.

    The last step has the verdict's reward, the others have 0; a trajectory without a verdict has null, which is no 0.
    """
    task = webgym_task(trajectory.task, trajectory.goal, index=index)
    if not trajectory.steps:
        return [_step_without_action(trajectory, task, verdict, image_path)]
    pages = [step.observation for step in trajectory.steps]
    if trajectory.final_observation is not None:
        pages.append(trajectory.final_observation)
    rows = []
    for place, step in enumerate(trajectory.steps):
        following = pages[place + 1] if place + 1 < len(pages) else None
        is_last = place == len(trajectory.steps) - 1
        rows.append(
            {
                "observation": _observation(step.observation, task, image_path, place),
                "action": _action(step),
                "response": _response(step),
                "reward": _reward(verdict, place, is_last=is_last),
                "same_as_next_screenshot": _is_same(step.observation, following),
            }
        )
    rows[-1] |= _error(trajectory)
    return rows


def _step_without_action(
    trajectory: Trajectory, task: dict[str, Any], verdict: Verdict | None, image_path: ImagePath
) -> dict[str, Any]:
    return {
        "observation": _observation(trajectory.final_observation, task, image_path, 0),
        "action": {"action": None, "action_string": ""},
        "response": {"raw_response": "", "answering_tokens": {}, "raw_prompt": ""},
        "reward": _reward(verdict, 0, is_last=True),
        "same_as_next_screenshot": False,
    } | _error(trajectory)


def _observation(page: Observation | None, task: dict[str, Any], image_path: ImagePath, place: int) -> dict[str, Any]:
    shot = page.screenshot if page else None
    marks = page.marks if page else []
    return {
        "task": task,
        "image_path": image_path(shot.sha256, place) if shot else None,
        "ac_tree": "\n".join(f"[{mark.id}] {mark.role} {mark.name}".rstrip() for mark in marks),
        "page_metadata": {"title": page.title, "url": page.url} if page else {},
    }


def _action(step: Step) -> dict[str, Any]:
    if step.action is None:
        return {"action": None, "action_string": ""}
    found = webgym_action(step.action, step.observation.viewport)
    return {"action": {"key": found.key, "arguments": found.arguments}, "action_string": found.text()}


def _response(step: Step) -> dict[str, Any]:
    said = step.completion
    if said is None:
        return {"raw_response": "", "answering_tokens": {}, "raw_prompt": ""}
    found = {"thinking": said.thoughts, "action": _action(step)["action_string"]}
    return {"raw_response": said.text, "answering_tokens": found, "raw_prompt": ""}


def _reward(verdict: Verdict | None, place: int, *, is_last: bool) -> dict[str, Any]:
    if verdict is None:
        return {
            "reward": None,
            "evaluation": "",
            "is_blocked": False,
            "submit": False,
            "submission_judgment": None,
        }
    return {
        "reward": verdict.reward if is_last else None if verdict.reward is None else 0.0,
        "evaluation": verdict.evidence if is_last else "",
        "is_blocked": verdict.blocked,
        "submit": place in verdict.evidence_steps,
        "submission_judgment": None,
    }


def _is_same(page: Observation, following: Observation | None) -> bool:
    before, after = page.screenshot, following.screenshot if following else None
    return before is not None and after is not None and before.sha256 == after.sha256


def _error(trajectory: Trajectory) -> dict[str, Any]:
    failure = trajectory.failure
    return {"error_type": failure.code, "error_message": failure.message} if failure else {}
