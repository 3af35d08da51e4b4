"""The gradient steps: TRL's GRPO loss on stored tokens. The only file that knows TRL.

TRL would generate, score and batch by itself. The subclass leaves it only the loss and the loop: `_prepare_inputs`
hands over stored samples, padded and with pixels decoded at that moment, and the log-probabilities they were sampled
with as the old policy ("bypass": the ratio is taken to the sampling policy directly).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from training import losses
from training.config import UpdateConfig
from training.lean_imports import prepare
from training.minibatches import Plan, plan
from training.models import ImageSource, LoadedPolicy, collate
from training.optimizer_state import load_optimizer
from training.samples import Sample

prepare()

import trl.trainer.utils  # noqa: E402 - see above
from datasets import Dataset  # noqa: E402
from transformers import PrinterCallback  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

# The head is then applied to sampled tokens only, as TRL does on GPUs, and not to prompts: a third of an update on a CPU.
trl.trainer.utils._use_triton = lambda device: True  # ty: ignore[invalid-assignment]


class Learned(NamedTuple):
    """What the steps did, besides changing the model."""

    steps: int
    metrics: dict[str, float]
    optimizer: torch.optim.Optimizer


class StoredStepsTrainer(GRPOTrainer):
    """GRPOTrainer on samples that were collected before."""

    def __init__(
        self,
        policy: LoadedPolicy,
        samples: Sequence[Sample],
        images: ImageSource,
        batches: Plan,
        config: UpdateConfig,
        *,
        args: GRPOConfig,
        optimizers: tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR],
    ) -> None:
        super().__init__(
            model=policy.model,
            args=args,
            processing_class=policy.processor,
            reward_funcs=_never_called,
            train_dataset=Dataset.from_dict({"microbatch": list(range(len(batches.microbatches)))}),
            optimizers=optimizers,
        )
        self.remove_callback(PrinterCallback)
        self._policy, self._samples, self._images = policy, samples, images
        self._batches, self._config = batches, config
        self._current: dict[str, Any] = {}
        self.sums: list[tuple[int, dict[str, float]]] = []

    def _prepare_inputs(self, inputs: Any) -> dict[str, Any]:
        microbatch = self._batches.microbatches[inputs[0]["microbatch"]]
        batch = collate(self._policy, [self._samples[row] for row in microbatch.rows], self._images)
        batch["advantages"] *= not microbatch.blank
        # TRL multiplies by the number of passes per optimiser step, because its own batches span a single pass.
        tokens = microbatch.step_tokens / self.current_gradient_accumulation_steps
        batch["num_items_in_batch"] = torch.tensor(tokens, device=self._policy.device)
        self._current = batch | {"blank": microbatch.blank}
        return batch

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._current["inputs"] = inputs
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """Guards the advantages with the log-probabilities that the loss is about to use, without a pass of its own."""
        logprobs, entropies, auxiliary = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        inputs, config = self._current["inputs"], self._config
        sampled, now = inputs["old_per_token_logps"], logprobs.detach().float()
        guard = losses.ratio_guard(now, sampled, max_ratio=config.max_ratio)
        inputs["advantages"] = inputs["advantages"] * guard
        if not self._current["blank"]:
            mask = inputs["completion_mask"]
            high = config.clip_high if config.loss_type == "dapo" else config.max_ratio - 1
            low = config.clip_low if config.loss_type == "dapo" else 1.0
            sums = losses.token_sums(now, sampled, entropies, inputs["advantages"], mask, guard, low=low, high=high)
            self.sums.append((self.state.global_step, sums))
        return logprobs, entropies, auxiliary


def learn(
    policy: LoadedPolicy,
    samples: Sequence[Sample],
    images: ImageSource,
    config: UpdateConfig,
    *,
    seed: int = 0,
    global_step: int = 0,
    resume_optimizer: Path | None = None,
) -> Learned:
    """Trains the policy in place on all samples; `global_step` counts the steps of earlier iterations (warm-up).

    `resume_optimizer` is the checkpoint whose Adam state continues, if it has one.
    """
    batches = plan(
        [len(sample) for sample in samples],
        [len(sample.token_ids) for sample in samples],
        minibatches=config.minibatches,
        epochs=config.epochs,
        micro_batch_size=config.micro_batch_size,
        smallest_minibatch=config.smallest_minibatch,
        seed=seed,
    )
    optimizer = make_optimizer(policy.model, config)
    if resume_optimizer is not None:
        load_optimizer(optimizer, policy.model, resume_optimizer)
    trainer = trainer_for(policy, samples, images, batches, config, optimizer, global_step=global_step)
    trainer.train()
    if trainer.state.global_step != batches.steps:
        raise RuntimeError(f"expected {batches.steps} optimiser steps, TRL made {trainer.state.global_step}")
    return Learned(batches.steps, _metrics(trainer), optimizer)


def trainer_for(
    policy: LoadedPolicy,
    samples: Sequence[Sample],
    images: ImageSource,
    batches: Plan,
    config: UpdateConfig,
    optimizer: torch.optim.Optimizer,
    *,
    global_step: int,
) -> StoredStepsTrainer:
    """A trainer that is ready to run."""
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (global_step + step + 1) / (config.warmup_steps + 1))
    )
    # TRL makes this folder, though nothing is ever saved in it.
    with tempfile.TemporaryDirectory(prefix="rl-loop-trainer-") as scratch:
        args = _arguments(config, batches, policy, samples[0].temperature, scratch)
        return StoredStepsTrainer(policy, samples, images, batches, config, args=args, optimizers=(optimizer, schedule))


def make_optimizer(model: torch.nn.Module, config: UpdateConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _arguments(
    config: UpdateConfig, batches: Plan, policy: LoadedPolicy, temperature: float, scratch: str
) -> GRPOConfig:
    on_gpu = policy.device.type == "cuda"
    return GRPOConfig(
        output_dir=scratch,
        max_steps=batches.steps,
        gradient_accumulation_steps=batches.accumulation,
        # TRL wants at least two generations per prompt: each dataset row is repeated twice, and a row is a micro batch.
        per_device_train_batch_size=2,
        num_generations=2,
        steps_per_generation=1,
        shuffle_dataset=False,
        loss_type=config.loss_type,
        epsilon=config.clip_low,
        epsilon_high=config.clip_high if config.loss_type == "dapo" else config.max_ratio,
        temperature=temperature,
        beta=0.0,
        max_grad_norm=config.max_grad_norm,
        bf16=on_gpu and config.bf16_autocast and config.dtype == "float32",
        use_cpu=not on_gpu,
        gradient_checkpointing=config.gradient_checkpointing,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=config.seed,
    )


def _metrics(trainer: StoredStepsTrainer) -> dict[str, float]:
    logged = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    first = losses.means([sums for step, sums in trainer.sums if step == 0])
    averages = losses.means([sums for _, sums in trainer.sums])
    kept = {name: averages[name] for name in ("ratio", "kl", "entropy", "clip_low", "clip_high", "guarded")}
    return {
        **kept,
        "loss": sum(entry["loss"] for entry in logged) / len(logged),
        "grad_norm": sum(entry["grad_norm"] for entry in logged) / len(logged),
        "learning_rate": logged[-1]["learning_rate"],
        "gap_mean": first["gap"],
        "gap_large": first["gap_large"],
    }


def _never_called(**_: Any) -> list[float | None]:
    raise RuntimeError("TRL asked for rewards, though advantages are computed before")
