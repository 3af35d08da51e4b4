"""The loss that the trainer applies, and its gradient, against the formulas written out token by token."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stored_rollouts import Rollout

from training.algorithms.objective import Tokens, objective
from training.config import UpdateConfig
from training.errors import Diverged
from training.learning.learner import learn, make_optimizer, trainer_for
from training.learning.minibatches import plan
from training.learning.models import LoadedPolicy, load_policy, pick_device, score, without_dropout
from training.learning.scoring.token_scores import stored_scores
from training.sampling.samples import Sample

MakeSamples = Callable[..., list[Sample]]
CONFIG = UpdateConfig(
    learning_rate=1e-3,
    minibatches=1,
    micro_batch_size=3,
    gradient_checkpointing=False,
    max_grad_norm=1e9,
    max_ratio=3.0,
)


def by_hand(loss_type: str, ratio: float, advantage: float, config: UpdateConfig) -> tuple[float, float]:
    """Loss of one token and its derivative by the token's log-probability (d ratio / d logprob = ratio)."""
    if loss_type == "cispo":
        weight = min(ratio, config.max_ratio)
        return math.nan, -weight * advantage  # the loss has log pi itself in it; the derivative is what is learned
    if not 1 / config.max_ratio <= ratio <= config.max_ratio:
        return 0.0, 0.0
    clipped = min(max(ratio, 1 - config.clip_low), 1 + config.clip_high)
    if ratio * advantage <= clipped * advantage:
        return -ratio * advantage, -ratio * advantage
    return -clipped * advantage, 0.0


RATIOS = [0.2, 0.5, 0.79, 0.81, 1.0, 1.27, 1.29, 2.9, 3.1, 9.0]


@pytest.mark.parametrize("loss_type", ["dapo", "cispo"])
@pytest.mark.parametrize("advantage", [1.5, -0.5])
def test_each_token_by_hand(loss_type: str, advantage: float) -> None:
    """Clipped on both sides, guarded on both sides, capped; and a padded token with a ratio of infinity."""
    sampled = torch.full((1, len(RATIOS) + 1), -1.0)
    ratios = torch.tensor([[*RATIOS, math.inf]])
    logprobs = (sampled + ratios.log()).requires_grad_()
    mask = torch.tensor([[1.0] * len(RATIOS) + [0.0]])
    tokens = Tokens(
        logprobs=logprobs,
        entropies=torch.zeros_like(sampled),
        sampled=sampled,
        advantages=torch.full_like(sampled, advantage),
        mask=mask,
        weights=torch.ones(1),
        lags=torch.zeros(1),
    )
    loss = objective(tokens, CONFIG.model_copy(update={"loss_type": loss_type})).total
    loss.backward()
    expected = [by_hand(loss_type, ratio, advantage, CONFIG) for ratio in RATIOS]
    assert logprobs.grad is not None
    assert logprobs.grad[0].tolist() == pytest.approx([*(slope for _, slope in expected), 0.0], rel=1e-4)
    if loss_type == "dapo":
        assert loss.item() == pytest.approx(sum(value for value, _ in expected), rel=1e-4)


def spread(samples: list[Sample]) -> list[Sample]:
    """Stored log-probabilities moved, so that some ratios are clipped, some guarded, some left alone."""
    shifts = [0.0, 0.15, -0.15, 0.5, -0.5, 1.5, -1.5]
    return [replace(one, logprobs=one.logprobs + shifts[i % len(shifts)]) for i, one in enumerate(samples)]


@pytest.mark.parametrize("loss_type", ["dapo", "cispo"])
def test_the_trainers_gradient_is_the_formulas(
    model_directory: Path, make_samples: MakeSamples, filled: Rollout, loss_type: str
) -> None:
    """Over several micro batches of different length, one of them blank."""
    samples = spread(make_samples()[:7])
    config = CONFIG.model_copy(update={"loss_type": loss_type, "minibatches": 2})
    images = filled.store.image
    lengths, tokens = [len(one) for one in samples], [len(one.token_ids) for one in samples]
    batches = plan(lengths, tokens, minibatches=2, epochs=1, micro_batch_size=1, seed=1)
    assert any(one.blank for one in batches.microbatches)
    policy = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
    optimizer = make_optimizer(policy.model, config.model_copy(update={"learning_rate": 1e-12}))
    found: list[dict[str, torch.Tensor]] = []

    def keep(*_: object) -> None:
        found.append({n: p.grad.clone() for n, p in policy.model.named_parameters() if p.grad is not None})

    optimizer.register_step_pre_hook(keep)
    trainer_for(policy, samples, images, batches, config, optimizer, global_step=0).train()
    assert len(found) == 2
    for step, gradients in enumerate(found):
        rows = [
            row
            for one in batches.microbatches[step * batches.accumulation : (step + 1) * batches.accumulation]
            if not one.blank
            for row in one.rows
        ]
        expected = _gradient(model_directory, [samples[row] for row in rows], filled, config, loss_type)
        for name, gradient in expected.items():
            assert torch.allclose(gradients[name], gradient, atol=2e-6, rtol=1e-3), name


def _gradient(
    model_directory: Path, samples: list[Sample], filled: Rollout, config: UpdateConfig, loss_type: str
) -> dict[str, torch.Tensor]:
    """One token at a time: the derivative by hand times that of a plain forward pass."""
    policy = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
    total = sum(len(one.token_ids) for one in samples)
    for sample in samples:
        batch = _inputs(policy, sample, filled)
        logits = policy.model(**batch).logits[0, len(sample.prompt_token_ids) - 1 : -1] / sample.temperature
        logprobs = logits.log_softmax(-1)[torch.arange(len(sample.token_ids)), torch.from_numpy(sample.token_ids)]
        slopes = [
            by_hand(loss_type, math.exp(now - then), sample.advantage, config)[1] / total
            for now, then in zip(logprobs.tolist(), sample.logprobs.tolist(), strict=True)
        ]
        logprobs.backward(torch.tensor(slopes))
    return {name: one.grad for name, one in policy.model.named_parameters() if one.grad is not None}


def _inputs(policy: LoadedPolicy, sample: Sample, filled: Rollout) -> dict[str, torch.Tensor]:
    from training.learning.models import collate

    batch = collate(policy, [sample], filled.store.image)
    names = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | {n: batch[n] for n in names if n in batch}


# ---- what must not be learned from -----------------------------------------------------------------------------------
@pytest.mark.parametrize("broken", ["weight", "advantage"])
def test_a_number_that_is_not_finite_stops_the_training_before_a_step(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout, broken: str
) -> None:
    samples = make_samples()
    if broken == "weight":
        next(policy.model.parameters()).data.view(-1)[0] = math.nan
    else:
        samples[0] = replace(samples[0], advantage=math.inf)
    kept = [one.clone() for one in policy.model.parameters()]
    with pytest.raises(Diverged, match="optimiser step 1 are not finite"):
        learn(policy, samples, filled.store.image, CONFIG)
    assert all(
        torch.equal(a, b) or not torch.isfinite(a).all() for a, b in zip(kept, policy.model.parameters(), strict=True)
    )


def test_the_sentence_names_the_trajectory_at_fault_and_no_earlier_one(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    samples = make_samples()
    last = max(range(len(samples)), key=lambda row: len(samples[row]))
    samples[last] = replace(samples[last], trajectory_id="culprit", advantage=math.inf)
    config = CONFIG.model_copy(update={"micro_batch_size": 1})
    with pytest.raises(Diverged, match=r"\(trajectories: culprit\)"):
        learn(policy, samples, filled.store.image, config)


@pytest.mark.parametrize("loss_type", ["dapo", "cispo"])
@pytest.mark.parametrize("micro_batch_size", [2, 16])
def test_the_reported_loss_is_the_formulas(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout, loss_type: str, micro_batch_size: int
) -> None:
    samples, images = spread(make_samples()[:7]), filled.store.image
    changes = {"loss_type": loss_type, "micro_batch_size": micro_batch_size, "learning_rate": 1e-12}
    config = CONFIG.model_copy(update=changes)
    expected = 0.0
    for sample, scores in zip(samples, score(policy, samples, images), strict=True):
        for now, then in zip(scores, sample.logprobs.tolist(), strict=True):
            ratio = math.exp(now - then)
            capped = -min(ratio, config.max_ratio) * sample.advantage * now
            expected += capped if loss_type == "cispo" else by_hand("dapo", ratio, sample.advantage, config)[0]
    expected /= sum(len(sample.token_ids) for sample in samples)
    assert learn(policy, samples, images, config).metrics["loss"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("bonus", [0.0, 0.1])
def test_a_token_that_the_model_rules_out_has_no_share_in_the_entropy(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout, bonus: float
) -> None:
    bias = torch.zeros(policy.model.lm_head.out_features)
    bias[0] = -math.inf
    policy.model.lm_head.bias = torch.nn.Parameter(bias, requires_grad=False)
    config = CONFIG.model_copy(update={"entropy_coefficient": bonus})
    metrics = learn(policy, make_samples()[:2], filled.store.image, config).metrics
    assert math.isfinite(metrics["entropy"]) and math.isfinite(metrics["grad_norm"])


def test_an_entropy_bonus_raises_the_entropy(policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout) -> None:
    samples, images = make_samples(advantage=0.0)[:6], filled.store.image
    bonus = CONFIG.model_copy(update={"entropy_coefficient": 1.0})
    before = learn(policy, samples, images, CONFIG).metrics["entropy"]
    with_gradient = learn(policy, samples, images, bonus)
    assert with_gradient.steps == 1 and with_gradient.metrics["entropy"] == pytest.approx(before, rel=1e-5)
    assert learn(policy, samples, images, CONFIG).metrics["entropy"] > before


def test_dropout_is_switched_off(model_directory: Path, make_samples: MakeSamples, filled: Rollout) -> None:
    policy = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
    policy.model.lm_head = torch.nn.Sequential(torch.nn.Dropout(0.5), policy.model.lm_head)
    for module in policy.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    samples = make_samples()[:3]
    first, again = (stored_scores(policy, samples, filled.store.image, CONFIG) for _ in range(2))
    assert any((a != b).any() for a, b in zip(first, again, strict=True)), "there is dropout to switch off"
    without_dropout(policy.model)
    first, again = (stored_scores(policy, samples, filled.store.image, CONFIG) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True)) and policy.model.training


def test_master_weights_in_bfloat16_are_refused() -> None:
    rounded = UpdateConfig.model_validate({"dtype": "bfloat16"})
    assert "would round the weights and Adam's moments" in str(rounded.why_refused()), "and a run that has them is read"
    assert UpdateConfig().why_refused() is None
