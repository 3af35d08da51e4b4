"""A small run folder as the loop leaves it: one evaluation, one iteration, a success, a failed try, a broken episode."""

import hashlib
import io
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw

from agent.types import Completion, Failure, Recorded, RecordedKind, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Box, ClickId, Mark, Observation, Screenshot, Tab, Viewport
from storage.store import TrajectoryStore

HOSTILE = "<img src=x onerror=\"window.pwned='yes'\"><script>window.pwned='yes'</script>"
SUCCESS, FAIL, BROKEN = (f"i0001-{name}-m00" for name in ("click-button.7", "click-link.8", "click-test.9"))
HELDOUT = "e0000-click-test.1000001-m00"


def write_run(runs: Path, name: str = "demo") -> Path:
    """The run folder `name` in the directory `runs`."""
    root = runs / name
    write(root / "run.json", json.dumps({"name": name, "created": "2026-01-02T03:04:05+00:00", "config_sha256": "0"}))
    write(
        root / "config.yaml",
        "name: demo\nseed: 3\niterations: 2\npolicy:\n  model: models/tiny\nrollout:\n  group_size: 4\n",
    )
    _write_evaluation(root / "iterations/0000")
    _write_iteration(root / "iterations/0001")
    (root / "iterations/0002/rollout").mkdir(parents=True)
    write(root / "iterations/0002/rollout/progress-00.json", json.dumps({"done": 3, "total": 8, "note": ""}))
    write(root / "iterations/0002/rollout/progress-01.json", json.dumps({"done": 4, "total": 8, "note": ""}))
    return root


def _write_evaluation(folder: Path) -> None:
    store = TrajectoryStore(folder / "evaluate")
    store.write(trajectory(HELDOUT, "click-test", iteration=0), pictures())
    write_verdicts(folder / "evaluate", Verdict(trajectory_id=HELDOUT, reward=0.0, judge="miniwob"))
    write_done(folder / "evaluate", seconds=4.0, metrics={"success_rate": 0.25, "steps_mean": 1.0})


def _write_iteration(folder: Path) -> None:
    store = TrajectoryStore(folder / "rollout")
    store.write(trajectory(SUCCESS, "click-button"), pictures())
    store.write(trajectory(FAIL, "click-link", hostile=True), pictures())
    lost = Failure(side="infra", code="BROWSER_CRASHED", message="the browser ended", retryable=True)
    store.write(trajectory(BROKEN, "click-test", failure=lost), pictures())
    attempt = {"trajectory_id": BROKEN, "attempt": 1, "at": "2026-01-02T03:05:00.000+00:00"}
    write(folder / "rollout/failures.jsonl", json.dumps(attempt | {"failure": lost.model_dump()}) + '\n{"trajec')
    write_done(folder / "rollout", seconds=20.5, counts={"trajectories": 3, "failed": 1})
    won = Verdict(trajectory_id=SUCCESS, reward=1.0, judge="miniwob", criteria={"done": True}, evidence="reward is 1")
    lost_try = Verdict(trajectory_id=FAIL, reward=0.0, judge="miniwob", evidence=HOSTILE)
    unjudged = Verdict(trajectory_id=BROKEN, reward=None, judge="miniwob")
    write_verdicts(folder / "judge", won, lost_try, unjudged)
    write_done(folder / "judge", seconds=0.1, metrics={"success_rate": 0.5, "steps_mean": 2.0})
    write_update(folder)


ALARM = "entropy collapsed: 0.1 nats per token, below update.alarm_entropy 0.2"
GAP_EDGES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
METRICS = {
    "loss": 0.25,
    "grad_norm": 0.8,
    "grad_norm_max": 1.4,
    "entropy": 0.1,
    "kl": 0.002,
    "clip_low": 0.01,
    "clip_high": 0.0,
    "capped_positive": 0.001,
    "capped_negative": 0.0,
    "gap_mean": 2e-4,
    "gap_max": 0.3,
    "lag_mean": 0.25,
    "reward_mean": 0.5,
    "reward_std": 0.5,
    "advantage_mean": 0.0,
    "advantage_abs_mean": 0.9,
    "tokens_per_second": 480.0,
    "dropped_truncated": 2.0,
    "excluded_unjudged": 1.0,
}
"""Of a policy update on a machine without a GPU and without a reference policy."""


def write_update(
    folder: Path,
    metrics: Mapping[str, float] = METRICS,
    rewards: tuple[int, ...] = (1, 0, 1),
    alarms: tuple[str, ...] = (ALARM,),
    name: str = "other",
) -> None:
    """The finished policy update of an iteration, with histograms: `rewards` are counts, `name` is one that the page does not know."""
    histograms = {
        "reward": {"edges": (0.0, 0.3, 0.7, 1.0), "counts": rewards},
        "advantage": {"edges": (-1.0, -0.5, 0.0, 0.5, 1.0), "counts": (1, 0, 0, 1)},
        "gap": {"edges": GAP_EDGES, "counts": (9, 40, 30, 12, 5, 1, 0)},
        "lag": {"edges": (0, 1, 2), "counts": (0, 0)},
        name: {"edges": (0, 0.5), "counts": (1,)},
    }
    more = {"counts": {"version": 1, "steps": 1, "samples": 4}, "metrics": dict(metrics), "alarms": alarms}
    write_done(folder / "policy_update", seconds=9.0, histograms=histograms, **more)


def trajectory(
    name: str, domain: str, *, iteration: int = 1, hostile: bool = False, failure: Failure | None = None
) -> Trajectory:
    """A trajectory of two steps; a hostile one has markup wherever a stranger can write."""
    text = HOSTILE if hostile else "Click the button."
    task = Task(id=name.split("-", 1)[1].removesuffix("-m00"), environment="miniwob", domain=domain, max_steps=3)
    said = Completion(
        text=f"click(2) {text}", prompt_token_ids=(1, 2, 3), token_ids=(4, 5), logprobs=(-0.5, -0.1), policy_version=0
    )
    unclear = said.model_copy(update={"text": "clck 2"})
    phases = {"think": 0.4, "act": 0.12, "settle": 0.05}
    steps = (
        Step(
            index=0,
            observation=seen(text),
            completion=unclear,
            action=None,
            feedback=f"no action in {text}",
            seconds=phases,
        ),
        Step(index=1, observation=seen(text), completion=said, action=ClickId(id=2), seconds=phases),
    )
    return Trajectory(
        id=name,
        task=task,
        goal=text,
        group=name.removesuffix("-m00"),
        member=0,
        iteration=iteration,
        steps=steps,
        stop=StopReason.FAILED if failure else StopReason.DONE,
        final_observation=None if failure else seen(text),
        answer=text if hostile else None,
        final_state={"done": True, "note": text},
        failure=failure,
        policy_version=0,
        seconds=3.2,
    )


def seen(text: str) -> Observation:
    """A page with two buttons, whose title, address and names are `text`."""
    boxes = (Box(x=10, y=60, width=60, height=25), Box(x=80, y=60, width=60, height=25))
    return Observation(
        url=f"http://127.0.0.1/{text}",
        title=text,
        viewport=Viewport(width=160, height=210),
        screenshot=Screenshot(sha256=SHA256, media_type="image/png", width=160, height=210),
        marks=[Mark(id=index, role="button", name=text, box=box, value=text) for index, box in enumerate(boxes, 1)],
        text=text,
        tabs=[Tab(url="javascript:window.pwned='yes'", title=text, active=active) for active in (True, False)],
        dialogs=[text] if text == HOSTILE else [],
    )


def _picture() -> bytes:
    image = Image.new("RGB", (160, 210), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 160, 50), fill="#ffff66")
    draw.text((6, 6), "Click the button.", fill="black")
    for left in (10, 80):
        draw.rectangle((left, 60, left + 60, 85), outline="gray", fill="#eeeeee")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _picture()
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def pictures() -> dict[str, bytes]:
    """The one picture by its hash."""
    return {SHA256: PICTURE}


def write_verdicts(folder: Path, *verdicts: Verdict) -> None:
    """A verdicts.jsonl."""
    write(folder / "verdicts.jsonl", "".join(f"{verdict.model_dump_json()}\n" for verdict in verdicts))


def write_done(folder: Path, *, seconds: float, **content: object) -> None:
    """A done.json."""
    write(folder / "done.json", json.dumps({"stage": folder.name, "iteration": 1, "seconds": seconds, **content}))


def write(path: Path, text: str) -> None:
    """A file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def film(stage: Path, trajectory_id: str = SUCCESS) -> None:
    """Gives a stored trajectory a film of a second, one that was removed, and a trace."""
    store, folder = TrajectoryStore(stage), stage / trajectory_id
    made = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x210:rate=5"]
    subprocess.run([*made, "-t", "1", "-c:v", "libvpx", "-y", folder / "video.webm"], check=True)
    (folder / "trace.zip").write_bytes(b"PK")
    files: dict[str, RecordedKind] = {"video.webm": "video", "video-2.webm": "video", "trace.zip": "trace"}
    recorded = tuple(Recorded(kind=kind, file=name, size=40_000) for name, kind in files.items())
    store.write(store.read(trajectory_id).model_copy(update={"recorded": recorded}), {})
