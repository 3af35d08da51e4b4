"""The calls to a vLLM server that a transfer makes: vLLM's `VLLMWeightSyncClient`, on a UNIX socket."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

LEFT_OPEN = "a weight update is already active"
"""In vLLM's answer to a start while the update before was not finished."""


class TransferError(RuntimeError):
    """The server did not take the weights. The message is one sentence."""


class Control:
    """A client of one server. Its calls raise `TransferError`."""

    def __init__(self, uds: Path, deadline_s: float) -> None:
        # A connection for each call: after an error vLLM closes the old one.
        transport = httpx.HTTPTransport(uds=str(uds), limits=httpx.Limits(max_keepalive_connections=0))
        self._http = httpx.Client(transport=transport, base_url="http://policy", timeout=deadline_s)

    def world_size(self) -> int:
        """Number of the server's workers."""
        return int(self._call("GET", "get_world_size")["world_size"])

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """Has the workers join the group of this transfer."""
        self._call("POST", "init_weight_transfer_engine", {"init_info": init_info})

    def start_weight_update(self) -> None:
        """Prepares the model. An update that a killed sender has left open is ended before."""
        try:
            self._call("POST", "start_weight_update")
        except TransferError as error:
            if LEFT_OPEN not in str(error):
                raise
            with suppress(TransferError):  # vLLM has no call for it, and ends an update when it refuses the tensors
                self.update_weights({})
            self._call("POST", "start_weight_update")

    def update_weights(self, update_info: Any) -> None:
        """Has the workers receive tensors."""
        self._call("POST", "update_weights", {"update_info": update_info})

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """Makes the received weights those that the server computes with. The publisher sets the version, after the proof."""
        self._call("POST", "finish_weight_update")

    def shutdown_weight_transfer_engine(self) -> None:
        """Has the workers leave the group."""
        self._call("POST", "shutdown_weight_transfer_engine")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            response = self._http.request(method, f"/{path}", json=body)
        except httpx.HTTPError as error:
            raise TransferError(f"the vLLM server does not answer /{path}: {error!r}") from error
        if response.status_code != 200:
            raise TransferError(f"the vLLM server answered {response.status_code} to /{path}: {_message(response)}")
        return response.json()


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])[:300]
    except (ValueError, LookupError, TypeError):
        return response.text[:300]
