"""The gradient steps: this package's loss on stored tokens in TRL's trainer. The only file that imports TRL.

TRL would generate, score and batch by itself. The subclass uses only its loop: `_prepare_inputs` returns stored
samples, padded and with pixels decoded on demand, and `compute_loss`, the public hook of every transformers trainer,
uses `training.algorithms.objective`, so that an upgrade of TRL can't change the objective.
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from training.algorithms.normalisers import divisor
from training.algorithms.objective import Tokens, objective
from training.config import UpdateConfig
from training.errors import Diverged
from training.lean_imports import prepare
from training.learning.minibatches import Plan, picture_row, plan
from training.learning.models import ImageSource, LoadedPolicy, collate
from training.learning.optimizer_state import load_optimizer
from training.learning.processes.ranks import gathered
from training.learning.processes.sharded import largest_gradient
from training.learning.scoring.scored import Scored
from training.learning.scoring.token_scores import token_scores
from training.learning.token_metrics import clip_widths, means, token_sums
from training.sampling.samples import Sample
from training.settings import world_size

prepare()

from datasets import Dataset  # noqa: E402 - see above
from transformers import PrinterCallback  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

NAMED = 3


class Learned(NamedTuple):
    """Result of the steps; the model itself is changed in place."""

    steps: int
    """Optimiser steps that were applied; steps without a token to learn from are not counted."""
    metrics: dict[str, float]
    optimizer: torch.optim.Optimizer


class StoredStepsTrainer(GRPOTrainer):
    """GRPOTrainer on stored samples."""

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
        scored: Scored,
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
        self._batches, self._config, self._scored = batches, config, scored
        self._current = batches.microbatches[0]
        self._beside: list[int] = []
        """Masked rows that the pass takes along, see `minibatches.picture_row`."""
        self._seen: list[str] = []
        """Trajectories of the optimiser step that is being accumulated."""
        self.skipped_steps = 0
        self.sums: list[dict[str, float]] = []

    @property
    def has_reference(self) -> bool:
        """True if the loss has a KL term."""
        return self._scored.reference is not None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Runs all steps. The optimiser's hook is removed afterwards, so that another trainer can use the optimiser."""
        assert self.optimizer is not None
        watch = self.optimizer.register_step_pre_hook(self._before_step)
        try:
            return super().train(*args, **kwargs)
        finally:
            watch.remove()

    def _prepare_inputs(self, inputs: Any) -> dict[str, Any]:
        number = inputs[0]["microbatch"]
        self._current = self._batches.microbatches[number]
        self._beside = [] if self._config.sharding == "none" else self._row_beside(number)
        rows = [*self._current.rows, *self._beside]
        batch = collate(self._policy, [self._samples[row] for row in rows], self._images)
        batch["completion_mask"][len(self._current.rows) :] = 0
        return batch | self._scored.columns(rows, self._policy.device)

    def _row_beside(self, number: int) -> list[int]:
        """The masked row that micro batch `number` takes along, beside the ones of the other processes."""
        processes = self._batches.processes
        first = number - number % processes
        passes = [one.rows for one in self._batches.microbatches[first : first + processes]]
        pictured = [bool(sample.images) for sample in self._samples]
        return picture_row(passes, number - first, pictured, [len(sample) for sample in self._samples])

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The micro batch's part of the loss of its optimiser step. Raises `Diverged` for a number that is not finite."""
        config, microbatch = self._config, self._current
        rows = [self._samples[row] for row in (*microbatch.rows, *self._beside)]
        scores = token_scores(
            model, inputs, temperature=rows[0].temperature, entropy_gradient=config.entropy_coefficient > 0
        )
        logprobs, mask = scores.logprobs, inputs["completion_mask"]
        here = [sample.trajectory_id for sample in rows]
        finite = torch.isfinite(torch.where(mask > 0, logprobs.detach(), 0.0)).all(-1).tolist()
        self._require_finite(finite, "log-probabilities", here)
        tokens = Tokens(
            logprobs=logprobs,
            entropies=scores.entropies,
            sampled=inputs["old_per_token_logps"],
            advantages=inputs["advantages"],
            mask=mask * (not microbatch.blank),
            weights=torch.tensor([sample.weight for sample in rows], device=logprobs.device),
            lags=self._scored.lags(rows, logprobs.device),
            proximal=inputs.get("proximal"),
            reference=inputs.get("reference"),
        )
        found = objective(tokens, config)
        self._require_finite([bool(torch.isfinite(found.total))] * len(here), "loss", here)
        if not microbatch.blank:
            self._seen += here[: len(microbatch.rows)]
            low, high = clip_widths(config)
            self.sums.append(token_sums(tokens, found, low=low, high=high))
        # The trainer adds up the passes of an optimiser step, and takes the mean over the processes.
        return (self._batches.processes * found.total) / divisor(
            config.normaliser,
            tokens=microbatch.step_tokens,
            responses=microbatch.step_samples,
            constant=config.normaliser_constant,
        )

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Skips a step without a token to learn from: Adam's momentum alone must not move the weights.

        All gradients are exactly zero then, whatever the reason: advantages of zero, masked tokens, or ratios beyond
        the clip range where the gradient is clipped.
        """
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        largest = largest_gradient(parameters)
        self._require_finite([math.isfinite(largest)] * len(self._seen), "gradients", self._seen)
        if not largest:
            self.skipped_steps += 1
            for parameter in parameters:
                parameter.grad = None
        self._seen = []

    def _require_finite(self, finite: Sequence[bool], what: str, trajectories: Sequence[str]) -> None:
        """Raises `Diverged` with the names of the trajectories whose entry in `finite` is False."""
        if all(finite):
            return
        bad = list(dict.fromkeys(name for name, fine in zip(trajectories, finite, strict=True) if not fine))
        named = ", ".join(bad[:NAMED]) + (f" and {len(bad) - NAMED} more" if len(bad) > NAMED else "")
        raise Diverged(
            f"training diverged: {what} of optimiser step {self.state.global_step + 1} are not finite (trajectories: {named}); "
            "nothing is written: lower update.learning_rate or update.max_grad_norm, or look at these trajectories"
        )


def learn(
    policy: LoadedPolicy,
    samples: Sequence[Sample],
    images: ImageSource,
    config: UpdateConfig,
    *,
    seed: int = 0,
    global_step: int = 0,
    resume_optimizer: Path | None = None,
    scored: Scored | None = None,
) -> Learned:
    """Trains the policy in place on all samples; `global_step` counts the steps of earlier iterations (warm-up).

    `resume_optimizer` is the checkpoint whose Adam state continues, if it has one. `scored` holds what other policies
    give the samples, where the loss asks for it.
    """
    batches = plan(
        [len(sample) for sample in samples],
        [len(sample.token_ids) for sample in samples],
        minibatches=config.minibatches,
        epochs=config.epochs,
        micro_batch_size=config.micro_batch_size,
        smallest_minibatch=config.smallest_minibatch,
        processes=world_size(),
        micro_batch_tokens=config.micro_batch_tokens,
        seed=seed,
    )
    optimizer = make_optimizer(policy.model, config)
    if resume_optimizer is not None:
        load_optimizer(optimizer, policy.model, resume_optimizer)
    trainer = trainer_for(policy, samples, images, batches, config, optimizer, global_step=global_step, scored=scored)
    trainer.train()
    if trainer.state.global_step != batches.steps:
        raise RuntimeError(f"expected {batches.steps} optimiser steps, TRL made {trainer.state.global_step}")
    return Learned(batches.steps - trainer.skipped_steps, _metrics(trainer), optimizer)


def trainer_for(
    policy: LoadedPolicy,
    samples: Sequence[Sample],
    images: ImageSource,
    batches: Plan,
    config: UpdateConfig,
    optimizer: torch.optim.Optimizer,
    *,
    global_step: int,
    scored: Scored | None = None,
) -> StoredStepsTrainer:
    """Returns a trainer that is ready to run."""
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (global_step + step + 1) / (config.warmup_steps + 1))
    )
    # TRL creates this folder, though nothing is ever saved in it.
    with tempfile.TemporaryDirectory(prefix="rl-loop-trainer-") as scratch:
        args = _arguments(config, batches, policy, samples[0].temperature, scratch)
        scored = scored or Scored(max(sample.policy_version for sample in samples))
        return StoredStepsTrainer(
            policy, samples, images, batches, config, args=args, optimizers=(optimizer, schedule), scored=scored
        )


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
        # TRL requires two generations per prompt: each dataset row is repeated twice, and a row is a micro batch.
        per_device_train_batch_size=2,
        num_generations=2,
        steps_per_generation=1,
        shuffle_dataset=False,
        loss_type="dapo",  # TRL never computes a loss
        temperature=temperature,
        beta=0.0,
        max_grad_norm=config.max_grad_norm,
        bf16=on_gpu and config.bf16_autocast and config.dtype == "float32",
        use_cpu=not on_gpu,
        ddp_backend="gloo" if world_size() > 1 and not on_gpu else None,
        # A micro batch without pictures leaves the vision tower of its process without gradients.
        ddp_find_unused_parameters=True,
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
    sums = [one for sums in gathered(trainer.sums) for one in sums]
    averages = {f"{name}_mean" if name == "lag" else name: value for name, value in means(sums).items()}
    if not trainer.has_reference:
        del averages["kl_reference"]
    del averages["tokens"]
    return {
        **averages,
        "loss": sum(entry["loss"] for entry in logged) / len(logged),
        "grad_norm": sum(entry["grad_norm"] for entry in logged) / len(logged),
        "grad_norm_max": max(entry["grad_norm"] for entry in logged),
        "learning_rate": logged[-1]["learning_rate"],
    }


def _never_called(**_: Any) -> list[float | None]:
    raise RuntimeError("TRL asked for rewards, though advantages are computed before")
