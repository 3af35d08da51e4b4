"""A real vLLM as the judge: replies constrained by the JSON schema, and the rubric judge from a stored episode to its verdict.

The small policy is the model, so its words are worthless; the path is the one that a real judge takes.
"""

import asyncio
import hashlib
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from real_stack import COMPACT_JSON, PROJECT, Stack

from agent.types import Answer, Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import ClickCoords, Observation, Screenshot, Viewport
from flows.services.model_servers import socket_path
from flows.services.processes import tethered
from judging.cached import Cached
from judging.endpoints.budget import Budget, Price
from judging.endpoints.metered import Metered
from judging.endpoints.openai_compatible import OpenAICompatible
from judging.endpoints.protocol import Json, Part, Picture, Reply
from judging.rubric.judge import RubricJudge
from judging.rubric.settings import RubricSettings
from judging.verdicts import VerdictFile, read_verdict_file

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]

DECISION: dict[str, Any] = {
    "type": "object",
    "properties": {"met": {"type": "boolean"}, "sure": {"type": "string", "enum": ["low", "medium", "high"]}},
    "required": ["met", "sure"],
    "additionalProperties": False,
}
UNREADABLE = {"truncated", "marker", "contradiction", "missing_evidence", "wrong_form"}
"""What can be wrong with a reply that has the form, from a model that has no idea."""
START_S = 900.0


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (160, 210), "navy").save(buffer, "PNG")
    return buffer.getvalue()


def episode() -> Trajectory:
    data = picture()
    shot = Screenshot(sha256=hashlib.sha256(data).hexdigest(), media_type="image/png", width=160, height=210)
    page = Observation(url="http://shop/", title="Shop", viewport=Viewport(), text="Lamp 42 EUR", screenshot=shot)
    actions = (ClickCoords(x=5, y=5), Answer(text="42 EUR"))
    steps = tuple(
        Step(index=n, observation=page, completion=Completion(text="click"), action=action)
        for n, action in enumerate(actions)
    )
    return Trajectory(
        id="t.1-m00",
        task=Task(id="t.1", environment="live", rubric=("The price is told",)),
        goal="How much is the lamp?",
        group="t.1",
        member=0,
        iteration=1,
        steps=steps,
        stop=StopReason.ANSWERED,
        final_observation=page,
        answer="42 EUR",
    )


class Heard(OpenAICompatible):
    """A judge model whose replies are kept."""

    replies: list[Reply]

    async def ask(self, system: str, parts: Sequence[Part], schema: Json) -> Reply:
        reply = await super().ask(system, parts, schema)
        self.replies.append(reply)
        return reply


async def verdict_of(
    uds: Path, file: Path, one: Trajectory, *, max_tokens: int, replies: list[Reply] | None = None
) -> Verdict:
    """The rubric judge's verdict, stored in `file`, by the model at a socket; its replies are added to `replies`."""
    endpoint = Heard(model_at(uds), uds=uds, deadline_s=300, max_tokens=max_tokens)
    endpoint.replies = [] if replies is None else replies
    model = Metered(endpoint, Budget(price=Price(tokens_in=1.0, tokens_out=1.0)), concurrency=2)
    try:
        with VerdictFile(file) as verdicts:
            judge = RubricJudge(model, lambda sha256: picture(), RubricSettings(), confidence=True)
            return await Cached(judge, verdicts).judge(one)
    finally:
        await model.close()


def model_at(uds: Path) -> str:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds)), base_url="http://judge", timeout=30) as http:
        return str(http.get("/v1/models").json()["data"][0]["id"])


async def test_a_reply_has_the_form_of_the_schema_whatever_the_model_would_say(stack: Stack, tmp_path: Path) -> None:
    uds = socket_path(stack.loop.services.state_dir)
    endpoint = OpenAICompatible(model_at(uds), uds=uds, deadline_s=300, max_tokens=64)
    try:
        replies = await asyncio.gather(
            *(endpoint.ask("Decide.", [f"Is {n} met?", Picture("image/png", picture())], DECISION) for n in range(4))
        )
    finally:
        await endpoint.close()
    for reply in replies:
        found = json.loads(reply.text)
        assert (
            set(found) == {"met", "sure"}
            and found["met"] in (True, False)
            and found["sure"] in DECISION["properties"]["sure"]["enum"]
        )
        assert reply.finish == "stop" and reply.tokens_in > 10 and reply.tokens_out > 2
    # The questions of the rubric judge do not fit into the small policy's context: no verdict, and no 0.
    verdict = await verdict_of(uds, tmp_path / "judged.jsonl", episode(), max_tokens=64)
    assert (verdict.reward, verdict.unjudged) == (None, "too_long")


@pytest.fixture
def judge_at(tmp_path: Path) -> Generator[Path]:
    """The socket of a vLLM server with room for the judge's questions."""
    uds, config, log = tmp_path / "v.sock", tmp_path / "serving.json", tmp_path / "vllm.log"
    serving = {"dtype": "float32", "max_model_len": 4_096, "max_num_seqs": 4, "images_per_prompt": 3}
    config.write_text(
        json.dumps(
            serving
            | {"enforce_eager": True, "kv_cache_gb": 1, "cpu_threads": 1}
            | {"extra_args": ["--structured-outputs-config", COMPACT_JSON]}
        )
    )
    command = [sys.executable, "-m", "training.publishing.vllm_server", "--model", str(PROJECT / "policies/tiny")]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            tethered([*command, "--uds", str(uds), "--config", str(config)]), cwd=PROJECT, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_for(uds, process, log)
            yield uds
        finally:
            process.terminate()
            process.wait(60)


def wait_for(uds: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2_000:]
        try:
            with socket.socket(socket.AF_UNIX) as probe:  # httpx leaves its socket open when no process listens
                probe.connect(str(uds))
            if model_at(uds):
                return
        except (OSError, httpx.HTTPError, KeyError, ValueError):
            time.sleep(0.5)
    raise AssertionError(f"vLLM is not ready: {log.read_text()[-2_000:]}")


@pytest.mark.chaos
async def test_the_rubric_judge_runs_end_to_end_on_a_local_model(judge_at: Path, tmp_path: Path) -> None:
    file = tmp_path / "judged.jsonl"
    replies: list[Reply] = []
    verdict = await verdict_of(judge_at, file, episode(), max_tokens=400, replies=replies)
    assert [reply.text[:9] for reply in replies] == ['{"call":"'], "the schema of the question was in force"
    assert verdict.reward is None and verdict.unjudged in UNREADABLE, verdict
    assert verdict.model.startswith("policy-") and verdict.tokens_in > 1_000 and verdict.tokens_out > 0
    assert read_verdict_file(file) == [verdict]
