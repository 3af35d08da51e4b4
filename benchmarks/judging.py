"""Cost of judging: stored trajectories verified without a model, and a judge model of one second on loopback.

python -m benchmarks.judging [--trajectories 10000] [--asked 256]
"""

import argparse
import asyncio
import hashlib
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from fastapi import FastAPI, Request

from agent.types import Answer, Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickCoords, Observation, Screenshot, Viewport
from environments.web import serving
from judging.config import JudgeConfig, JudgeModel
from judging.in_order import in_order
from judging.opening import open_judges
from storage.store import TrajectoryStore

CONCURRENCY, LATENCY_S, CALLS_EACH = 32, 1.0, 2
MOST_MS, MOST_MB, LEAST_SHARE = 2.0, 400.0, 0.9
PICTURE = b"\x89PNG" + bytes(60_000)
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def trajectory(number: int, *, reference: str | None) -> Trajectory:
    """An episode of five steps that ends with an answer; a page has 2,000 characters of text."""
    page = Observation(
        url="http://shop.example/lamp",
        title="Lamp",
        text="The lamp costs 42 EUR. " * 90,
        viewport=Viewport(),
        screenshot=Screenshot(sha256=SHA256, media_type="image/png", width=1280, height=720),
    )
    steps = [
        Step(index=index, observation=page, completion=Completion(text="click(5, 5)"), action=ClickCoords(x=5, y=5))
        for index in range(4)
    ]
    steps.append(
        Step(index=4, observation=page, completion=Completion(text="answer"), action=Answer(text="It costs 42 EUR."))
    )
    return Trajectory(
        id=f"t.{number}-m00",
        task=Task(id=f"t.{number}", environment="live", rubric=("The price is shown",), reference_answer=reference),
        goal="How much is the lamp?",
        group=f"t.{number}",
        member=0,
        iteration=1,
        steps=tuple(steps),
        stop=StopReason.ANSWERED,
        final_observation=page,
        answer="42 EUR",
    )


def judge_server(asked: list[str]) -> FastAPI:
    """An OpenAI-compatible judge that says yes after `LATENCY_S`. It adds the form of each question to `asked`."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> dict[str, Any]:
        body = await request.json()
        await asyncio.sleep(LATENCY_S)
        schema = body["response_format"]["json_schema"]["schema"]["properties"]
        marker, pages = shown_in(body["messages"][-1]["content"])
        asked.append("facts" if "facts" in schema else "support")
        said: dict[str, Any] = {"call": marker, "reason": "seen", "pages": pages, "quote": "42 EUR"}
        if "facts" in schema:
            fact = {"number": 1, "reason": "seen", "met": True, "pages": pages, "quote": "42 EUR"}
            said = {"call": marker, "facts": [fact], "matches_reference": None, "site_at_fault": False}
            said |= {"forbidden_side_effect": False, "side_effect_pages": []}
        else:
            said |= {"supported": True, "answers_task": True}
        message = {"role": "assistant", "content": json.dumps(said)}
        usage = {"prompt_tokens": 900, "completion_tokens": 60}
        return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}

    return app


def shown_in(content: list[dict[str, Any]]) -> tuple[str, list[int]]:
    """The marker of a call, and the number of the last page that it shows."""
    text = "\n".join(part["text"] for part in content if part["type"] == "text")
    marker = re.findall(r"marker of this call is ([0-9a-f]{32})\.", text)[0]
    labels = re.findall(rf"^<<{marker} pages? ([\d, ]+), title", text, re.MULTILINE)
    return marker, [int(labels[-1].split(",")[-1])]


async def judged(config: JudgeConfig, store: TrajectoryStore, directory: Path) -> list[Verdict]:
    """The verdicts of a stage, as the judge stage makes them."""

    async def no_check(one: Trajectory, _: dict[str, Any]) -> Verdict:
        return Verdict(trajectory_id=one.id, reward=None, judge="verifier")

    async with open_judges(config, no_check, store.image, directory) as judge:
        return [verdict async for _, verdict in in_order(store, judge.judge, at_once=config.trajectories_at_once)]


async def without_a_model(folder: Path, count: int) -> bool:
    """Verifies `count` trajectories. Prints the figures; returns True if the requirements are met."""
    store = TrajectoryStore(folder)
    for number in range(count):
        store.write(trajectory(number, reference="42 EUR"), {SHA256: PICTURE})
    began = time.monotonic()
    verdicts = await judged(JudgeConfig(chain=["answer"]), store, folder)
    each_ms = (time.monotonic() - began) / count * 1_000
    peak_mb = psutil.Process().memory_info().rss / 1e6
    assert [verdict.reward for verdict in verdicts] == [1.0] * count
    print(f"verified without a model: {count} trajectories, {each_ms:.2f} ms each (at most {MOST_MS:g})")
    print(f"resident memory afterwards, verdicts included: {peak_mb:.0f} MB (at most {MOST_MB:g})")
    return each_ms <= MOST_MS and peak_mb <= MOST_MB


async def with_a_model(folder: Path, count: int) -> bool:
    """Judges `count` trajectories by a model. Prints the figures; returns True if the requirements are met."""
    store, asked = TrajectoryStore(folder), list[str]()
    for number in range(count):
        store.write(trajectory(number, reference=None), {SHA256: PICTURE})
    async with serving(judge_server(asked)) as url:
        model = JudgeModel(model="judge", base_url=url, concurrency=CONCURRENCY)
        config = JudgeConfig(chain=["answer", "rubric"], model=model)
        began = time.monotonic()
        verdicts = await judged(config, store, folder)
        took = time.monotonic() - began
        assert [verdict.reward for verdict in verdicts] == [1.0] * count, verdicts[0]
        share = count * CALLS_EACH * LATENCY_S / CONCURRENCY / took
        calls = len(asked)
        again = await judged(config, store, folder)
    assert [verdict.reward for verdict in again] == [1.0] * count
    print(
        f"judge model, {LATENCY_S:g} s a call, {CONCURRENCY} at once: {share:.2f} of the ideal (at least {LEAST_SHARE:g})"
    )
    print(f"calls: {calls} for {count} trajectories; in a second run {len(asked) - calls} (none)")
    return share >= LEAST_SHARE and len(asked) == calls


def main() -> int:
    """Runs both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=10_000, help="verified without a model")
    parser.add_argument("--asked", type=int, default=512, help="judged by the model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        met = [
            asyncio.run(without_a_model(Path(folder) / "verified", options.trajectories)),
            asyncio.run(with_a_model(Path(folder) / "judged", options.asked)),
        ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
