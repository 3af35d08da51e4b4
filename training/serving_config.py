"""Settings of the policy server: vLLM's arguments, and deadlines."""

from ipaddress import IPv4Address
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

GLOO_BACKEND = "rl_loop_gloo"
"""Name of the backend of `training.publishing.transfer` in vLLM's `--weight-transfer-config`."""
SPARSE = "sparse_nccl"
"""Name of vLLM's own backend for patches."""
Seconds = Annotated[float, Field(gt=0, le=7_200)]


class ServingConfig(BaseModel):
    """Section `serving` of a loop's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dtype: Literal["float32", "bfloat16", "auto"] = "auto"
    """Data type of the served weights; `auto` takes the checkpoint's own. float32 on a CPU."""
    max_model_len: Annotated[int, Field(ge=64)] = 16_384
    """Largest length of prompt and completion together, in tokens."""
    max_num_seqs: Annotated[int, Field(ge=1)] = 128
    """Largest number of requests that are computed at once."""
    images_per_prompt: Annotated[int, Field(ge=0, le=64)] = 1
    """Largest number of pictures in one prompt."""
    enforce_eager: bool = False
    """Skips compilation and graph capture: slower tokens, a much faster start."""
    kv_cache_gb: Annotated[int, Field(ge=1)] = 4
    """Memory for the cache of keys and values when served on a CPU, in GiB. A GPU takes `gpu_memory_utilization`."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of a GPU's memory that the server may take."""
    tensor_parallel_size: Annotated[int, Field(ge=1)] = 1
    """GPUs that share one copy of the weights."""
    cpu_threads: Annotated[int, Field(ge=1)] | None = None
    """Threads when served on a CPU; None leaves the choice to vLLM. Use 1 on few cores shared with browsers."""
    adapter_rank: Literal[8, 16, 32, 64, 128, 256] | None = None
    """With `update.lora`: load the adapter of each version beside the weights of version 0, under a name of its own, up to
    this rank; nothing is paused. None: merged weights are reloaded in place."""
    transfer: Literal["disk", "gloo", "nccl"] = "disk"
    """Way of a new version's weights to the server: read in place from the run folder (`disk`), or sent by vLLM's weight
    transfer, through main memory and TCP (`gloo`) or from GPU to GPU (`nccl`). The proofs are the same; after a fault the server
    reads from disk."""
    transfer_deltas: bool = False
    """Send only the elements that differ from the version that is served, where that is less."""
    transfer_address: IPv4Address = IPv4Address("127.0.0.1")
    """Address of the loop's machine that the model servers reach, for `gloo` and `nccl`; their connections ask for nothing."""
    sleep: bool = False
    """For one GPU that trains and serves: vLLM's sleep level 1 during each update, so that its memory is the update's. Needs
    main memory for the weights. Not on a CPU."""
    extra_args: tuple[str, ...] = ()
    """Further arguments of vLLM's server, unchanged. Example: `["--max-num-batched-tokens", "8192"]`."""

    weight_check: Literal["exact", "changed"] = "exact"
    """After a reload every tensor on the server must equal the checkpoint's (`exact`), or at least differ from before
    (`changed`): for quantised or sharded weights, whose bytes can't be compared."""
    canary_tolerance: Annotated[float, Field(gt=0)] = 0.1
    """Largest mean difference between the server's and the trainer's log-probabilities of the canaries, in nats, for weights
    in bfloat16; in float32 a fifth of it."""
    start_deadline_s: Seconds = 600.0
    """Seconds for vLLM to start."""
    publish_order: Literal["staggered", "together"] = "staggered"
    """With several servers: `staggered` publishes to one after another, so that a policy that fails its proof touches
    one server only and the shared disk is read by one; `together` publishes to all at once."""
    publish_deadline_s: Seconds = 300.0
    """Seconds for a publish, from marking the server to the proof; draining running requests is the longest part. After
    this deadline the earlier policy is served again."""
    rollback_deadline_s: Seconds = 120.0
    """Seconds for the earlier policy to be loaded and proved again after a publish that failed; after this deadline the
    supervisor restarts vLLM."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.transfer != "disk" and self.adapter_rank:
            raise ValueError(
                f"transfer={self.transfer} sends whole weights, and adapter_rank={self.adapter_rank} has the server load adapters from "
                "the run folder; set transfer=disk, or leave adapter_rank out"
            )
        if self.transfer_address.is_unspecified:
            raise ValueError(
                f"transfer_address={self.transfer_address} is no address that a server can reach; give one of the loop's machine"
            )
        if self.transfer == "disk" and self.transfer_deltas:
            raise ValueError("transfer_deltas sends what differs, and transfer=disk sends nothing; set transfer=gloo")
        return self

    @property
    def transfer_backend(self) -> str | None:
        """Name of the backend in vLLM's `--weight-transfer-config`; None: the server takes no transfer."""
        if self.transfer == "nccl":
            return SPARSE if self.transfer_deltas else "nccl"
        return GLOO_BACKEND if self.transfer == "gloo" else None
