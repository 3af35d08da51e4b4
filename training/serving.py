"""Talks to the vLLM server, publishes a checkpoint into it and proves that it is served.

    mark unproved -> pause -> reload -> clear 3 caches -> compare digests -> resume -> re-score canaries -> set version

The version is written last. Whoever wants tokens of a policy asks for its version first, so a publish that broke in the
middle, or a server that was restarted, leaves a server whose tokens nobody takes.
"""

import base64
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from pydantic import BaseModel, ConfigDict

from training import failpoints
from training.canary import ScoredCompletion, read_canary
from training.checkpoints import Checkpoint
from training.serving_config import ServingConfig
from training.weight_digests import OPAQUE, expected_digests

UNPROVED = "unproved "
"""Prefix of the version while a publish is under way or has failed."""


class ServerUnavailable(ConnectionError):
    """The server does not answer. The message says where it was expected."""


class PublishError(RuntimeError):
    """The server could not be proved to serve the checkpoint. The message is one sentence that says which proof failed."""


class ServedPolicy(NamedTuple):
    """What a server says about itself. Example: `ServedPolicy(model="policy-7f3a91c0", version="demo:0003")`."""

    model: str
    """Model name to ask for; new for each server process."""
    version: str
    """What the last publish set; a fresh server has vLLM's default."""


class PublishReport(BaseModel):
    """The proof of a publish."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: str
    model: str
    tensors: int
    """Parameters on the server."""
    tensors_opaque: int
    """Of those, how many can't be compared because the server packs them; only the canaries speak for them."""
    tensors_matched: int
    """How many are byte for byte the checkpoint's."""
    tensors_changed: int
    """How many are not what they were before the reload."""
    canary_gap: float | None
    """Mean absolute difference to the trainer's log-probabilities, in nats; None without canaries."""
    seconds: dict[str, float]
    """Per phase: pause, reload, caches, digests, resume, canary, total."""


class PolicyServer:
    """A client of one vLLM server on a UNIX socket. Use as `async with PolicyServer(uds, config) as server`."""

    def __init__(self, uds: Path, config: ServingConfig) -> None:
        self._uds, self._config = uds, config
        transport = httpx.AsyncHTTPTransport(uds=str(uds))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://policy", timeout=config.publish_deadline_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def is_healthy(self, deadline_s: float = 5.0) -> bool:
        """Whether the server answers and its engine lives."""
        try:
            return (await self._http.get("/health", timeout=deadline_s)).status_code == 200
        except httpx.HTTPError:
            return False

    async def served(self) -> ServedPolicy:
        """What is served now. Raises `ServerUnavailable`."""
        models = await self._call("GET", "/v1/models")
        info = await self._call("GET", "/weight_info")
        return ServedPolicy(model=models["data"][0]["id"], version=str(info["weight_version"]))

    async def publish(self, checkpoint: Checkpoint, version: str, *, image: Callable[[str], bytes]) -> PublishReport:
        """Makes the server serve `checkpoint` under the name `version`, and proves it. May be repeated at any time.

        `image` gives a canary's pictures by sha256. Raises `PublishError` when a proof fails, `ServerUnavailable` when
        the server goes away; in both cases the server's version is not `version`.
        """
        clock = _Clock()
        model = (await self.served()).model
        before = await self._digests()
        await self._call("POST", "/update_weight_version", json={"new_version": UNPROVED + version})
        await self._call("POST", "/pause", params={"mode": "wait"})
        clock.lap("pause")
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(checkpoint.path.resolve())}}
        await self._call("POST", "/collective_rpc", json=body)
        clock.lap("reload")
        failpoints.reach("publish.after_reload")
        for cache in (
            "prefix",
            "mm",
            "encoder",
        ):  # an encoder cache that is kept kills the engine at the next known picture
            await self._call("POST", f"/reset_{cache}_cache")
        clock.lap("caches")
        after = await self._digests()
        matched, opaque = self._compare(checkpoint, before, after)
        clock.lap("digests")
        await self._call("POST", "/resume")
        clock.lap("resume")
        gap = await self._canary_gap(model, checkpoint, image)
        clock.lap("canary")
        await self._call("POST", "/update_weight_version", json={"new_version": version})
        return PublishReport(
            version=version,
            model=model,
            tensors=len(after),
            tensors_opaque=opaque,
            tensors_matched=matched,
            tensors_changed=sum(before.get(name) != digest for name, digest in after.items()),
            canary_gap=gap,
            seconds=clock.laps | {"total": clock.total()},
        )

    async def score(
        self,
        model: str,
        prompt: Sequence[int],
        completion: Sequence[int],
        images: Sequence[bytes],
        *,
        image_token: int | None,
    ) -> list[float]:
        """The server's log-probability of each completion token after the prompt, in nats, at temperature 1.

        `prompt` has image placeholders expanded, as it is stored; `images` are the encoded pictures in their order.
        """
        parts = [{"type": "image_url", "url": _data_url(data)} for data in images]
        body: dict[str, Any] = {
            "model": model,
            # The server expands placeholders itself: each picture's run of them goes back to the one it grew from.
            "token_ids": [*_collapsed(prompt, image_token), *completion],
            "sampling_params": {"max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0},
        }
        if parts:
            body["content_parts"] = parts
        reply = await self._call("POST", "/inference/v1/generate", json=body)
        scored = reply["prompt_logprobs"][-len(completion) :]
        return [_logprob(entry, token) for entry, token in zip(scored, completion, strict=True)]

    def _compare(self, checkpoint: Checkpoint, before: dict[str, str], after: dict[str, str]) -> tuple[int, int]:
        """How many tensors are the checkpoint's, and how many can't be compared. Raises `PublishError`."""
        expected = expected_digests(checkpoint.path)
        matched = sum(digest in expected for digest in after.values())
        opaque = sum(digest == OPAQUE for digest in after.values())
        if self._config.weight_check == "exact" and matched + opaque != len(after):
            raise PublishError(_mismatch(checkpoint, matched, len(after) - opaque, after, expected))
        if self._config.weight_check == "changed" and before == after and matched == 0:
            raise PublishError(f"no tensor on the server changed when {checkpoint.path} was loaded; the loop stops")
        return matched, opaque

    async def _canary_gap(self, model: str, checkpoint: Checkpoint, image: Callable[[str], bytes]) -> float | None:
        canary = read_canary(checkpoint.path)
        if canary is None:
            return None
        image_token = json.loads((checkpoint.path / "config.json").read_bytes()).get("image_token_id")
        gaps: list[float] = []
        for completion in canary.completions:
            pictures = [image(sha256) for sha256 in completion.images]
            served = await self.score(
                model, completion.prompt_token_ids, completion.token_ids, pictures, image_token=image_token
            )
            gaps += [abs(a - b) for a, b in zip(served, completion.logprobs, strict=True)]
        gap = sum(gaps) / len(gaps)
        if gap > self._config.canary_tolerance:
            raise PublishError(_disagreement(canary.completions, gap, self._config.canary_tolerance))
        return gap

    async def _digests(self) -> dict[str, str]:
        return (await self._call("POST", "/weight_checker", json={"action": "checksum"}))["checksums"]

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = await self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ServerUnavailable(f"the vLLM server at {self._uds} does not answer {path}: {error!r}") from error
        if response.status_code != 200:
            raise PublishError(f"the vLLM server answered {response.status_code} to {path}: {response.text[:300]}")
        return response.json() if response.content else None


class _Clock:
    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = now - self._last, now

    def total(self) -> float:
        return time.monotonic() - self._start


def _logprob(entry: dict[str, dict[str, Any]] | None, token: int) -> float:
    if entry is None or str(token) not in entry:
        raise PublishError(f"the server gave no log-probability for token {token} of a canary")
    return float(entry[str(token)]["logprob"])


def _mismatch(checkpoint: Checkpoint, matched: int, comparable: int, after: dict[str, str], expected: set[str]) -> str:
    wrong = next(name for name, digest in sorted(after.items()) if digest not in expected and digest != OPAQUE)
    return (
        f"the server holds {matched} of {comparable} comparable tensors of {checkpoint.path}, {wrong} is another one; the loop "
        "stops: check that serving.dtype is the checkpoint's, or set serving.weight_check=changed for sharded weights"
    )


def _disagreement(completions: Sequence[ScoredCompletion], gap: float, tolerance: float) -> str:
    return (
        f"after the reload the server's log-probabilities of {len(completions)} stored completions differ from the trainer's "
        f"by {gap:.3f} nats on average, more than serving.canary_tolerance={tolerance:g}; the loop stops"
    )


def _collapsed(prompt: Sequence[int], image_token: int | None) -> list[int]:
    """The prompt with each run of image placeholders shortened to one."""
    pairs = zip([None, *prompt], prompt, strict=False)
    return [token for before, token in pairs if token != image_token or before != image_token]


def _data_url(data: bytes) -> str:
    kind = "jpeg" if data[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
