"""Client of a vLLM server on its UNIX socket: its model and version, the calls of a reload, scores of stored tokens.

`publish.py` combines the calls. A caller that wants tokens of a policy first asks for the server's version, and rejects
tokens of a server with another version: no caller uses the tokens of a server that is marked as unproved.
"""

import base64
import math
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import httpx

from training.serving_config import ServingConfig

UNPROVED = "unproved "
"""Prefix of the version while a publish runs or after it has failed."""


class ServerUnavailable(ConnectionError):
    """No server listens, or the process ended during the call. The message has the socket's path."""


class PublishError(RuntimeError):
    """A checkpoint can't be served, or not be proved to be served. The message is one sentence with the failed
    proof."""

    def __init__(self, message: str, *, inherited: bool = False) -> None:
        super().__init__(message)
        self.inherited = inherited
        """True if an earlier publish was interrupted, so that its remains may be at fault and not the checkpoint:
        retry."""


class ServerHangs(PublishError):
    """The server accepted a call and did not answer in time."""


class ServedPolicy(NamedTuple):
    """Model and version of a server. Example: `ServedPolicy(model="policy-7f3a91c0", version="demo:3",
    root="policies/tiny")`."""

    model: str
    """Model name to ask for; new for each server process."""
    version: str
    """Version that the last publish set; a fresh server has vLLM's default."""
    root: str | None
    """Model directory that the process was started with."""


class PolicyServer:
    """A client of one vLLM server on a UNIX socket. Use as `async with PolicyServer(uds, config) as server`.

    Its calls raise `ServerUnavailable` when the server is away, and `PublishError` when the answer is not as expected,
    or later than `serving.publish_deadline_s`.
    """

    def __init__(self, uds: Path, config: ServingConfig) -> None:
        self.uds = uds
        # A connection for each call: after an error vLLM closes the old one, which must not look like the server's end.
        limits = httpx.Limits(max_keepalive_connections=0)
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no certificates for a socket: reading them takes a moment
        transport = httpx.AsyncHTTPTransport(verify=plain, uds=str(uds), limits=limits)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://policy", timeout=config.publish_deadline_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def is_healthy(self, deadline_s: float = 5.0) -> bool:
        """True if the server answers and its engine runs; independent of its weights and of a pause."""
        try:
            return (await self._http.get("/health", timeout=deadline_s)).status_code == 200
        except httpx.HTTPError:
            return False

    async def served(self) -> ServedPolicy:
        """Returns the model and version that are served now."""
        models = await self._call("GET", "/v1/models")
        info = await self._call("GET", "/weight_info")
        try:
            model = models["data"][0]
            return ServedPolicy(str(model["id"]), str(info["weight_version"]), model.get("root"))
        except (LookupError, TypeError, AttributeError) as error:
            raise PublishError(f"the vLLM server at {self.uds} does not say what it serves: {error!r}") from error

    async def is_paused(self) -> bool:
        """True if requests wait because a publish runs, or was interrupted."""
        return bool((await self._call("GET", "/is_paused")).get("is_paused"))

    async def pause(self, mode: Literal["wait", "abort"]) -> None:
        """Stops new requests; running requests are waited for (`wait`) or aborted (`abort`). Can be repeated."""
        await self._call("POST", "/pause", params={"mode": mode})

    async def resume(self) -> None:
        """Allows new requests. Can be repeated."""
        await self._call("POST", "/resume")

    async def is_asleep(self) -> bool:
        """True if the server sleeps, and also while it is paused: vLLM does not tell them apart."""
        return bool((await self._call("GET", "/is_sleeping")).get("is_sleeping"))

    async def sleep(self) -> None:
        """Waits for running requests, moves the weights to main memory and drops the caches (level 1). Can be repeated.

        Raises `PublishError` for a server without sleep mode.
        """
        try:
            await self._call("POST", "/sleep", params={"level": 1, "mode": "wait"})
        except ServerHangs:
            raise
        except PublishError as error:
            raise PublishError(
                f"the vLLM server at {self.uds} can't sleep ({error}); start it with --enable-sleep-mode on a GPU, or set "
                "serving.sleep: false"
            ) from error

    async def wake_up(self) -> None:
        """Brings the weights back and allows requests again. Can be repeated."""
        reply = await self._call("POST", "/wake_up")
        if not isinstance(reply, dict) or reply.get("status") != "awake":
            raise PublishError(f"the vLLM server at {self.uds} did not wake up: it answered {reply!r}")

    async def mark(self, version: str) -> None:
        """Sets the version that callers compare with the one they want."""
        await self._call("POST", "/update_weight_version", json={"new_version": version})

    async def reload(self, weights: Path) -> None:
        """Loads a checkpoint in place; `weights` is absolute, because the server has a working directory of its own."""
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(weights)}}
        await self._call("POST", "/collective_rpc", json=body)

    async def models(self) -> list[str]:
        """The names that requests can ask for: the model, and adapters."""
        reply = await self._call("GET", "/v1/models")
        try:
            return [str(one["id"]) for one in reply["data"]]
        except (LookupError, TypeError) as error:
            raise PublishError(f"the vLLM server at {self.uds} does not say what it serves: {error!r}") from error

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Loads an adapter beside the weights; requests ask for it by `name`."""
        # The answers to these two are sentences, not JSON.
        await self._sent("POST", "/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(folder)})

    async def unload_adapter(self, name: str) -> None:
        """Removes an adapter; requests for it are refused from then on."""
        await self._sent("POST", "/v1/unload_lora_adapter", json={"lora_name": name})

    async def clear_caches(self) -> None:
        """Clears all caches computed with other weights."""
        for cache in ("prefix", "mm", "encoder"):  # a kept encoder cache crashes the engine at a known picture
            await self._call("POST", f"/reset_{cache}_cache")

    async def digests(self) -> dict[str, str]:
        """sha256 of each parameter."""
        reply = await self._call("POST", "/weight_checker", json={"action": "checksum"})
        if not isinstance(reply, dict) or not isinstance(reply.get("checksums"), dict):
            raise PublishError(f"the vLLM server at {self.uds} answered /weight_checker without checksums")
        return reply["checksums"]

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
            # The server expands placeholders itself: each run of placeholders is collapsed to one per picture.
            "token_ids": [*_collapsed(prompt, image_token), *completion],
            "sampling_params": {"max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0},
        }
        if parts:
            body["content_parts"] = parts
        reply = await self._call("POST", "/inference/v1/generate", json=body)
        try:
            scored = reply["prompt_logprobs"][-len(completion) :]
            return [_logprob(entry, token) for entry, token in zip(scored, completion, strict=True)]
        except (LookupError, TypeError, ValueError) as error:
            raise PublishError(
                f"the server gave no scores for the {len(completion)} tokens of a canary: {error!r}"
            ) from error

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        response = await self._sent(method, path, **request)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise PublishError(f"the vLLM server's answer to {path} is no JSON: {response.text[:100]!r}") from error

    async def _sent(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **request)
        except httpx.TimeoutException as error:
            raise ServerHangs(f"the vLLM server at {self.uds} did not answer {path} in time") from error
        except httpx.HTTPError as error:
            raise ServerUnavailable(f"the vLLM server at {self.uds} does not answer {path}: {error!r}") from error
        if response.status_code != 200:
            raise PublishError(f"the vLLM server answered {response.status_code} to {path}: {response.text[:300]}")
        return response


def _logprob(entry: dict[str, dict[str, Any]] | None, token: int) -> float:
    if entry is None or str(token) not in entry:
        raise PublishError(f"the server gave no log-probability for token {token} of a canary")
    logprob = float(entry[str(token)]["logprob"])
    if not math.isfinite(logprob):
        raise PublishError(f"the server's log-probability for token {token} of a canary is {logprob}")
    return logprob


def _collapsed(prompt: Sequence[int], image_token: int | None) -> list[int]:
    """The prompt with each run of image placeholders shortened to one."""
    pairs = zip([None, *prompt], prompt, strict=False)
    return [token for before, token in pairs if token != image_token or before != image_token]


def _data_url(data: bytes) -> str:
    kind = "jpeg" if data[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
