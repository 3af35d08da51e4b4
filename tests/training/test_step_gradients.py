"""The gradient that TRL's loop accumulates for an optimiser step is that of the whole step's loss, for every preset.

The losses have sums per token, means per response, divisors that count tokens or responses, and terms beside the policy's; what
the trainer has to get right is the same for all: each micro batch is divided by what its whole step holds. A loss that divides
by its own micro batch has the right gradient only where all passes are equal, so here they are not.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from light_process import light_process
from stored_rollouts import Rollout

from training.algorithms.normalisers import divisor
from training.algorithms.objective import Tokens, objective
from training.algorithms.presets import PRESETS
from training.config import UpdateConfig
from training.learning.learner import make_optimizer, trainer_for
from training.learning.minibatches import Plan, plan
from training.learning.models import LoadedPolicy, collate
from training.learning.scoring.scored import Scored
from training.learning.scoring.token_scores import stored_scores, token_scores
from training.sampling.samples import Sample

__all__ = ["light_process"]  # a fixture

MakeSamples = Callable[..., list[Sample]]
Gradients = dict[str, torch.Tensor]
SETTINGS: dict[str, dict[str, Any]] = {name: {"preset": name} for name in PRESETS} | {
    "trajectory": {"normaliser": "trajectory"},
    "kl": {"kl_coefficient": 0.5},
    "kl and turns": {"preset": "gspo", "kl_coefficient": 0.5, "entropy_coefficient": 0.1},
    "interpolated": {"proximal_policy": "interpolated", "behaviour_weight": "clamp"},
}
"""Every preset, and what no preset has: a weight per sample, a KL term, an entropy bonus, ages of samples."""
ALL = {
    "learning_rate": 1e-12,  # the second step's gradient is then that of the first weights, too
    "minibatches": 2,
    "epochs": 1,
    "gradient_checkpointing": False,
    "max_grad_norm": 1e9,
}
PARENT = 3
SHIFTS = (0.0, 1e-4, 0.15, -0.15, 0.5, -0.5, 2.0)
"""Differences to the stored log-probabilities: within GSPO's clip range, within and beyond the others', and beyond `max_ratio`."""


@pytest.mark.parametrize("name", SETTINGS)
def test_a_steps_gradient_is_that_of_its_whole_loss(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout, name: str
) -> None:
    config = UpdateConfig.model_validate(ALL | SETTINGS[name])
    samples = varied(make_samples())
    scored = scores_of_others(policy, samples, filled, config)
    batches = uneven_passes(samples)
    steps = [
        batches.microbatches[first : first + batches.accumulation]
        for first in range(0, len(batches.microbatches), batches.accumulation)
    ]
    # The plan's counts are not used: they are part of what is tested.
    rows_of_steps = [[row for one in passes if not one.blank for row in one.rows] for passes in steps]
    expected = [whole(policy, samples, rows, filled, config, scored) for rows in rows_of_steps]
    found = accumulated(policy, samples, filled, batches, config, scored)
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        require_equal(one, other)


def varied(samples: list[Sample]) -> list[Sample]:
    """9 samples that differ in advantage, age, weight and in the distance of their policy."""
    return [
        replace(
            sample,
            advantage=(1.5, -0.5, 0.7, -1.1)[row % 4],
            logprobs=sample.logprobs - SHIFTS[row % len(SHIFTS)],
            policy_version=PARENT - row % 3,
            weight=1 / (1 + row % 5),
        )
        for row, sample in enumerate(samples[:9])
    ]


def scores_of_others(policy: LoadedPolicy, samples: list[Sample], filled: Rollout, config: UpdateConfig) -> Scored:
    """Log-probabilities under a parent and a reference, different for each token, where the loss needs them."""
    rng = np.random.default_rng(0)
    now = stored_scores(policy, samples, filled.store.image, config)
    proximal, reference = (
        [one + rng.normal(scale=0.2, size=one.shape).astype(np.float32) for one in now] for _ in range(2)
    )
    return Scored(
        PARENT,
        proximal=proximal if config.proximal_policy == "recomputed" else None,
        reference=reference if config.kl_coefficient else None,
    )


def uneven_passes(samples: list[Sample]) -> Plan:
    """A step of 5 samples in passes of 2, 2 and 1, and one of 4 in passes of 2, 2 and a blank one."""
    lengths = [len(one) for one in samples]
    tokens = [len(one.token_ids) for one in samples]
    batches = plan(lengths, tokens, minibatches=2, epochs=1, micro_batch_size=3, micro_batch_tokens=70, seed=1)
    assert [0 if one.blank else len(one.rows) for one in batches.microbatches] == [2, 2, 1, 2, 2, 0]
    return batches


def whole(
    policy: LoadedPolicy,
    samples: list[Sample],
    rows: list[int],
    filled: Rollout,
    config: UpdateConfig,
    scored: Scored,
) -> Gradients:
    """The gradient of the step's loss from one padded batch of all its samples."""
    chosen = [samples[row] for row in rows]
    batch = collate(policy, chosen, filled.store.image)
    scores = token_scores(
        policy.model, batch, temperature=chosen[0].temperature, entropy_gradient=config.entropy_coefficient > 0
    )
    others = scored.columns(rows, policy.device)
    tokens = Tokens(
        logprobs=scores.logprobs,
        entropies=scores.entropies,
        sampled=batch["old_per_token_logps"],
        advantages=batch["advantages"],
        mask=batch["completion_mask"],
        weights=torch.tensor([one.weight for one in chosen]),
        lags=torch.tensor([float(PARENT - one.policy_version) for one in chosen]),
        proximal=others.get("proximal"),
        reference=others.get("reference"),
    )
    by = divisor(
        config.normaliser,
        tokens=sum(len(one.token_ids) for one in chosen),
        responses=len(chosen),
        constant=config.normaliser_constant,
    )
    (objective(tokens, config).total / by).backward()
    return taken(policy)


def accumulated(
    policy: LoadedPolicy, samples: list[Sample], filled: Rollout, batches: Plan, config: UpdateConfig, scored: Scored
) -> list[Gradients]:
    """The gradients of each optimiser step."""
    optimizer = make_optimizer(policy.model, config)
    found: list[Gradients] = []
    optimizer.register_step_pre_hook(lambda *_: found.append(taken(policy, keep=True)))
    images = filled.store.image
    trainer_for(policy, samples, images, batches, config, optimizer, global_step=0, scored=scored).train()
    return found


def taken(policy: LoadedPolicy, *, keep: bool = False) -> Gradients:
    """The model's gradients; they are removed from it unless the optimiser still needs them."""
    parameters = {name: one for name, one in policy.model.named_parameters() if one.grad is not None}
    gradients = {name: one.grad.clone() for name, one in parameters.items()}
    if not keep:
        policy.model.zero_grad()
    return gradients


def require_equal(found: Gradients, expected: Gradients) -> None:
    """Up to the order of additions, and more exactly than a part that is small in the whole gradient."""
    assert found.keys() == expected.keys()
    size = float(torch.cat([one.flatten() for one in expected.values()]).norm())
    assert size > 1e-4, "there is nothing to compare"
    for name, gradient in expected.items():
        apart = float((found[name] - gradient).norm())
        assert apart <= 1e-3 * float(gradient.norm()) + 1e-6 * size, name
