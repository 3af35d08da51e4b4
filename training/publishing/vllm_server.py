"""`python -m training.publishing.vllm_server --model DIR --uds PATH --config FILE`: becomes a vLLM server for one policy.

The process replaces itself with vLLM's own server, so its parent supervises vLLM directly. Each start serves
under a new model name: after a crash and a restart, callers with the old name are rejected instead of getting
tokens from the new process's weights, whatever they are.

The control routes that a reload needs have no authentication in vLLM. A UNIX socket keeps them out of reach of
every browser: a page can send requests to ports, never to a file.
"""

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

from pydantic import ValidationError

from telemetry.errors import TracingError
from telemetry.exporter import check, traces_endpoint
from training.serving_config import ServingConfig

MODEL_PREFIX = "policy-"
LOOPBACK = "lo"
"""The interface to which gloo and NCCL bind where the loop and the server are one machine."""
MAX_SOCKET_PATH = 100  # the kernel takes 108 bytes with the terminator; ZeroMQ-style suffixes need some room


class ServerError(ValueError):
    """The server can't be started as asked. The message is one sentence."""


def command(config: ServingConfig, *, model: Path, uds: Path, name: str, traces_to: str | None = None) -> list[str]:
    """Returns vLLM's command line. Raises `ServerError` when the model or the socket's path can't be used.

    `traces_to`: the address that vLLM sends a span to for each request that names its caller's; None: no spans.
    """
    if not (model / "config.json").is_file():
        raise ServerError(f"{model} is no model directory: expected config.json in it; set `policy.model` to one")
    if len(str(uds)) > MAX_SOCKET_PATH:
        raise ServerError(
            f"the socket path {uds} has {len(str(uds))} characters, at most {MAX_SOCKET_PATH} fit; use a shorter directory"
        )
    arguments = [
        *("--model", str(model), "--served-model-name", name, "--uds", str(uds)),
        *("--dtype", config.dtype, "--max-model-len", str(config.max_model_len)),
        *("--max-num-seqs", str(config.max_num_seqs)),
        # Log-probabilities must be those of the distribution that was sampled from, temperature included.
        *("--logprobs-mode", "processed_logprobs"),
        # A checkpoint's generation_config must not add top-k or a repetition penalty.
        *("--generation-config", "vllm"),
        # Scores given tokens with pictures, for the canaries of a publish.
        "--enable-scale-out",
        *("--limit-mm-per-prompt", json.dumps({"image": config.images_per_prompt, "video": 0})),
        *("--tensor-parallel-size", str(config.tensor_parallel_size)),
        *("--gpu-memory-utilization", str(config.gpu_memory_utilization)),
        *(("--enforce-eager",) if config.enforce_eager else ()),
        *(("--enable-sleep-mode",) if config.sleep else ()),
        *(
            ("--weight-transfer-config", json.dumps({"backend": config.transfer_backend}))
            if config.transfer_backend
            else ()
        ),
        *(adapters(config.adapter_rank) if config.adapter_rank else ()),
        *(("--otlp-traces-endpoint", traces_to) if traces_to else ()),
        *config.extra_args,
    ]
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments]


def adapters(rank: int) -> list[str]:
    """Arguments for adapters: two are loaded at a time, so that the earlier one stays while the new one is proved."""
    return ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", "2", "--max-cpu-loras", "3"]


def environment(config: ServingConfig, base: dict[str, str]) -> dict[str, str]:
    """The server's environment: control routes on, network look-ups off, the fix for torchvision on the path."""
    added = {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(config.kv_cache_gb),
        "PYTHONPATH": import_paths(base.get("PYTHONPATH", "")),
        **own_interface(config),
    }
    if config.adapter_rank:
        added["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if config.enforce_eager:
        # vLLM's sampler would still be compiled, by a C++ compiler at the first request; this disables all compilation.
        added["TORCHDYNAMO_DISABLE"] = "1"
    if config.cpu_threads is not None:
        # Threads that spin at a barrier take CPU time from browsers on the same cores: they must sleep instead.
        added |= {
            "OMP_NUM_THREADS": str(config.cpu_threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }
        if config.tensor_parallel_size == 1:
            # The model is computed in the engine's process: a worker process of its own looks for work in a busy loop for a
            # second after each message, which took a sixth of two cores that browsers shared.
            added["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    return tracing_defaults(base) | base | added


def import_paths(base: str) -> str:
    """PYTHONPATH of a process that imports vLLM: with the fix for torchvision and the plugin."""
    room = Path(__file__).parents[1]
    return os.pathsep.join(path for path in (str(room / "vllm_site"), str(room.parent), base) if path)


def own_interface(config: ServingConfig) -> dict[str, str]:
    """The variables that keep a transfer's connections on this machine, where the loop and the server both are."""
    is_here = config.transfer != "disk" and config.transfer_address.is_loopback
    return {"GLOO_SOCKET_IFNAME": LOOPBACK, "NCCL_SOCKET_IFNAME": LOOPBACK} if is_here else {}


def tracing_defaults(base: dict[str, str]) -> dict[str, str]:
    """Variables for vLLM's spans, unless the user has set them: vLLM would send them by gRPC, under no name."""
    protocol = base.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    return {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocol, "OTEL_SERVICE_NAME": "vllm"}


def main() -> None:
    """Parses the command line and becomes vLLM."""
    parser = argparse.ArgumentParser(
        prog="python -m training.publishing.vllm_server", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", type=Path, required=True, help="model directory to start with")
    parser.add_argument("--uds", type=Path, required=True, help="UNIX socket to serve on")
    parser.add_argument("--config", type=Path, help="JSON file with the `serving` section; defaults if left out")
    parser.add_argument("--traces", action="store_true", help="send spans, as the OTEL_* variables say")
    options = parser.parse_args()
    try:
        config = ServingConfig.model_validate_json(options.config.read_bytes()) if options.config else ServingConfig()
        name = MODEL_PREFIX + secrets.token_hex(4)
        traces_to = traces_endpoint() if options.traces and check() else None
        line = command(config, model=options.model.resolve(), uds=options.uds, name=name, traces_to=traces_to)
    except (ServerError, TracingError, ValidationError, OSError) as error:
        sys.exit(f"vllm_server: {str(error).splitlines()[0]}")
    options.uds.unlink(missing_ok=True)  # left by a server that was killed
    os.execve(line[0], line, environment(config, dict(os.environ)))


if __name__ == "__main__":
    main()
