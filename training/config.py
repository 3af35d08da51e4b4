"""Settings of a policy update. Defaults suit a real 2-8B model; configs/ override them for smaller ones."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from storage.names import NAME_PATTERN
from training.algorithms.algorithm import Algorithm
from training.algorithms.ranges import NotNegative, Positive, Share
from training.lora_settings import LoraSettings


class UpdateConfig(Algorithm):
    """Settings of one update. Unknown keys are rejected. Example: `UpdateConfig(learning_rate=2e-4, minibatches=2)`.

    Those of credit and loss are in `training.algorithms`, in `credit_settings` and `loss_settings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_gap_fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Largest share of a trajectory's tokens that may differ from their stored log-probability by more than 1 before
    the first step. See `training.learning.scoring.gap`."""
    max_gap_mean: Positive | None = None
    """Largest mean difference of a trajectory's tokens, in nats. None: 0.02 in float32, 0.15 where bfloat16
    computes."""
    max_gap_trajectories: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Trajectories above these bounds are masked and named; above this share of the judged trajectories the update
    stops."""

    max_bad_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest share of bad samples: a picture that is lost or can't be decoded, placeholders that do not fit the
    pictures, token ids that the model does not have. Bad samples are left out, counted and named in the report. A
    larger share stops the update, unless all bad samples belong to one trajectory."""

    learning_rate: Positive = 1e-6
    """Learning rate after the warm-up; see `decay_versions`."""
    decay_versions: Annotated[int, Field(ge=0)] = 0
    """Versions over which the learning rate falls linearly towards zero, to a tenth at the lowest. 0: no decay. In a
    short loop the last update must not undo learning on tasks that gave it no signal."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps of linear warm-up, counted over all iterations."""
    weight_decay: NotNegative = 0.0
    """AdamW weight decay, on matrices only."""
    max_grad_norm: Positive = 1.0
    """Gradients are scaled down to this norm at most."""
    minibatches: Annotated[int, Field(ge=1)] = 4
    """Optimiser steps per epoch, at most; independent of the number of steps in the episodes."""
    smallest_minibatch: Annotated[int, Field(ge=1)] = 1
    """Fewest samples of an optimiser step. Adam takes an equally large step for few samples as for many, so that an
    iteration in which few groups had a signal would follow noise."""
    epochs: Annotated[int, Field(ge=1)] = 1
    """Passes over the samples."""
    micro_batch_size: Annotated[int, Field(ge=1)] = 4
    """Samples in one forward pass, at most; changes memory and speed, never the result."""
    micro_batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens in one forward pass, at most, padding included: short samples share a pass, a longer one has its own. A
    sample's tokens are those of its prompt, pictures' features among them, and of its answer. None: no limit."""
    verdict_set: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """Set of verdicts that the updates learn from, made by `rl-loop rejudge RUN --set NAME`; None: the judge stage's own.
    Part of the run's identity; an iteration without this set is refused. `rl-loop fork --judged` trains an iteration
    again from another set."""
    carry_optimizer: bool = True
    """Keep Adam's moments in the checkpoint and continue from them in the next iteration."""

    lora: LoraSettings | None = None
    """Trains an adapter (LoRA) over the run's first policy instead of all weights: `{rank: 16, alpha: 32}`. Versions hold the
    merged weights and the adapter."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Data type of the master weights and of Adam's moments, in training and in the checkpoint; bfloat16 is rejected.
    The server may cast.
    """
    bf16_autocast: bool = True
    """Computes in bfloat16 over float32 weights on a GPU. Not used on a CPU, where it is ten times slower."""
    gradient_checkpointing: bool = True
    """Recomputes activations in the backward pass: less memory, about a third slower."""
    liger: bool = True
    """Uses Liger's fused kernels on a GPU, where the package `liger-kernel` is installed: less memory and time."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes the GPU if there is one."""
    keep_warm: bool = False
    """Keeps a process between the updates of a loop that has imported all libraries, about half of a small update; each
    update is a fork of it, with the same result. Costs its memory, some 0.7 GB, during rollouts."""
    processes: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processes of an update on each machine, one per GPU (gloo on CPUs), started by torchrun; gradients are averaged over
    them (DDP). The optimiser steps are the same for any number. Not together with `keep_warm`."""
    machines: Annotated[int, Field(ge=1, le=1024)] = 1
    """Machines of an update. The loop starts the processes of its own; the logged command must be started on the others too, which
    see the run folder at the same path."""
    rendezvous: Annotated[str, Field(pattern=r"^[\w.:\[\]-]+:\d+$")] | None = None
    """`HOST:PORT` of one of the machines, reached by all: where torchrun's processes meet (its `--rdzv-endpoint`)."""
    sharding: Literal["none", "fsdp2", "zero2", "zero3"] = "none"
    """`fsdp2`: each of several processes holds a slice of the weights, the gradients and Adam's moments (torch's `fully_shard`), so
    that a model need not fit one GPU. `none`: each holds all of them. Changes memory and speed, never the result. DeepSpeed's
    `zero2` and `zero3` are refused."""
    seed: int = 0
    """Seed of the order of the samples; the version is added, so that iterations differ."""
    canaries: Annotated[int, Field(ge=1, le=16)] = 2
    """Stored completions re-scored with the new weights, which the publisher compares with the server's scores."""
    keep_last: Annotated[int, Field(ge=2)] = 3
    """Checkpoints kept when old ones are pruned."""

    alarms: Literal["warn", "stop", "off"] = "warn"
    """`warn` logs and reports an alarm; `stop` ends the update with its sentence and writes no version."""
    alarm_entropy: NotNegative = 0.01
    """Alarm when the policy's mean entropy at the sampled positions is below this, in nats. 0: never."""
    alarm_gap: Positive | None = None
    """Alarm when trainer and server differ by more than this on average (`gap_mean`), in nats. None: never; the bound of
    `max_gap_mean` masks and stops in any case."""
    alarm_zero_groups: Share = 1.0
    """Alarm when at least this share of the groups has equal rewards. 0: never."""

    def why_refused(self) -> str | None:
        """Returns the sentence why these settings are rejected for an update, None if they are accepted. Runs of
        earlier versions with such settings can still be read.
        """
        if self.keep_warm and self.machines * self.processes > 1:
            return (
                f"update.keep_warm keeps one process, but update.processes is {self.processes} on {self.machines} machines; set "
                "keep_warm: false, or processes: 1"
            )
        if self.machines > 1 and self.rendezvous is None:
            return f"update.machines is {self.machines}, and they must know where to meet; set update.rendezvous to HOST:PORT of one"
        if self.sharding in ("zero2", "zero3"):
            return (
                f"update.sharding: {self.sharding} would need DeepSpeed, which the update does not use; set fsdp2, which shares the "
                "same weights, gradients and moments (docs/decisions/0007-fsdp2-not-deepspeed.md)"
            )
        if self.sharding != "none" and self.machines * self.processes == 1:
            return (
                f"update.sharding: {self.sharding} shares the weights between several processes, but there is one; set processes, "
                "or sharding: none"
            )
        if self.dtype == "float32":
            return None
        return (
            f"update.dtype: {self.dtype} would round the weights and Adam's moments (at a learning rate of 1e-6 it moves 0.3 % of "
            "the weights, float32 82 %); keep float32 and set bf16_autocast to compute in bfloat16"
        )

    def for_version(self, version: int) -> "UpdateConfig":
        """The configuration with the learning rate of the update that makes `version` (1 is the first).

        Example: `learning_rate=3e-4, decay_versions=6` gives 3e-4, 2.5e-4, 2e-4, 1.5e-4, 1e-4, 5e-5, and then 3e-5.
        """
        if not self.decay_versions:
            return self
        left = max(0.1, 1 - (version - 1) / self.decay_versions)
        return self.model_copy(update={"learning_rate": self.learning_rate * left})
