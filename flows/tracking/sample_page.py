"""A trajectory as one self-contained HTML file: goal, pictures, replies, actions, verdict."""

import base64
from collections.abc import Callable, Mapping
from html import escape

from agent.types import Step, Trajectory
from agent.verdict import Verdict
from storage.store import TrajectoryStore

STYLE = (
    "body{font:14px system-ui;margin:2em;max-width:60em}img{border:1px solid #999;image-rendering:auto}"
    "section{display:flex;gap:1.5em;margin:1em 0;padding:1em;background:#f5f5f5}pre{white-space:pre-wrap;margin:0}"
    "dt{color:#666}dd{margin:0 0 .5em}"
)


def choose_samples(store: TrajectoryStore, verdicts: Mapping[str, Verdict], count: int) -> list[Trajectory]:
    """Up to `count` trajectories: failures first, as they show more, but with one success if there is any."""
    lost = [trajectory_id for trajectory_id in store.ids() if not _won(verdicts.get(trajectory_id))]
    won = [trajectory_id for trajectory_id in store.ids() if _won(verdicts.get(trajectory_id))]
    chosen = lost[: count - bool(won)]
    chosen += won[: count - len(chosen)]
    return [store.read(trajectory_id) for trajectory_id in chosen]


def render(trajectory: Trajectory, verdict: Verdict | None, image: Callable[[str], bytes]) -> str:
    """The HTML page. `image` returns a picture's bytes by sha256."""
    outcome = "not judged" if verdict is None or verdict.reward is None else f"reward {verdict.reward:g}"
    failure = f"; {trajectory.failure.side} failure: {trajectory.failure.message}" if trajectory.failure else ""
    steps = "".join(_step(step, image) for step in trajectory.steps)
    return (
        f"<!doctype html><meta charset=utf-8><title>{escape(trajectory.id)}</title><style>{STYLE}</style>"
        f"<h1>{escape(trajectory.goal or trajectory.task.goal or trajectory.task.id)}</h1>"
        f"<p>{escape(trajectory.id)}: {escape(outcome)}, ended by {escape(trajectory.stop)}, policy version "
        f"{trajectory.policy_version}, {trajectory.seconds:.1f} s{escape(failure)}</p>{steps}"
    )


def _step(step: Step, image: Callable[[str], bytes]) -> str:
    said = step.completion.text if step.completion else "(the model gave no answer)"
    done = step.action.model_dump_json() if step.action else "(no action)"
    facts = {"said": said, "did": done, "was told": step.feedback, "at": step.observation.url}
    listing = "".join(f"<dt>{name}</dt><dd><pre>{escape(text)}</pre></dd>" for name, text in facts.items() if text)
    return f"<section><div>{_picture(step, image)}</div><dl><dt>step {step.index}</dt>{listing}</dl></section>"


def _picture(step: Step, image: Callable[[str], bytes]) -> str:
    shot = step.observation.screenshot
    if shot is None:
        return ""
    data = base64.b64encode(image(shot.sha256)).decode()
    return f'<img width={shot.width} height={shot.height} src="data:{escape(shot.media_type)};base64,{data}">'


def _won(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.reward is not None and verdict.reward >= 1
