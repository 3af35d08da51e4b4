"""The learner against a plain forward pass, and what its steps do to the probabilities they were given."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stored_rollouts import Rollout

from training.config import UpdateConfig
from training.errors import ModelError
from training.learning.learner import learn, make_optimizer, trainer_for
from training.learning.minibatches import Microbatch, Plan
from training.learning.models import LoadedPolicy, collate, load_policy, pick_device, score
from training.learning.optimizer_state import load_optimizer, save_optimizer
from training.learning.scoring.token_scores import stored_scores, token_scores
from training.sampling.samples import Sample

MakeSamples = Callable[..., list[Sample]]
CONFIG = UpdateConfig(learning_rate=1e-3, minibatches=1, micro_batch_size=8, gradient_checkpointing=False)


def weights(policy: LoadedPolicy) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}


def distance(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """Euclidean, over all weights."""
    return sum(float((tensor - others[name]).double().square().sum()) for name, tensor in some.items()) ** 0.5


def largest_change(before: dict[str, torch.Tensor], policy: LoadedPolicy) -> float:
    after = policy.model.state_dict()
    return max((after[name] - tensor).abs().max().item() for name, tensor in before.items())


def test_logprobs_equal_a_plain_forward_pass_token_for_token(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    samples = make_samples()
    assert len({len(sample.prompt_token_ids) for sample in samples}) > 4, "prompts of one length would not be padded"
    assert {bool(sample.images) for sample in samples} == {True, False}
    config = CONFIG.model_copy(update={"micro_batch_size": 5})
    plain = score(policy, samples, filled.store.image)
    scores = stored_scores(policy, samples, filled.store.image, config)
    assert all(one.base is None for one in scores), "a view would keep the array of a whole pass"
    for row, expected in zip(scores, plain, strict=True):
        assert row.tolist() == pytest.approx(expected, abs=1e-4)


def test_entropies_are_those_of_the_whole_distribution(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    batch = collate(policy, make_samples()[:2], filled.store.image)
    found = token_scores(policy.model, batch, temperature=0.7)
    kept = {name: batch[name] for name in ("pixel_values", "image_grid_thw", "mm_token_type_ids") if name in batch}
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    logits = policy.model(input_ids=ids, attention_mask=mask, **kept).logits[:, batch["prompt_ids"].size(1) - 1 : -1]
    expected = torch.distributions.Categorical(logits=logits / 0.7)
    assert torch.allclose(found.entropies, expected.entropy(), atol=1e-4)
    assert torch.allclose(found.logprobs, expected.log_prob(batch["completion_ids"]), atol=1e-4)


def test_pictures_matter(policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout) -> None:
    seen, other, *_ = [sample for sample in make_samples() if sample.images]
    swapped = replace(seen, images=other.images)
    (with_own,), (with_other,) = (score(policy, [one], filled.store.image) for one in (seen, swapped))
    assert with_own != pytest.approx(with_other, abs=1e-6)


@pytest.mark.parametrize("loss_type", ["dapo", "cispo"])
def test_a_positive_advantage_raises_and_a_negative_lowers(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout, loss_type: str
) -> None:
    samples = make_samples()
    before = score(policy, samples, filled.store.image)
    learned = learn(policy, samples, filled.store.image, CONFIG.model_copy(update={"loss_type": loss_type}))
    after = score(policy, samples, filled.store.image)
    for sample, then, now in zip(samples, before, after, strict=True):
        assert (sum(now) - sum(then)) * sample.advantage > 0
    assert learned.steps == 1
    assert learned.metrics["ratio"] == pytest.approx(1, abs=1e-4)


def test_zero_advantages_leave_the_weights_exactly_unchanged(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    before = weights(policy)
    learn(policy, make_samples(advantage=0.0), filled.store.image, CONFIG)
    assert largest_change(before, policy) == 0.0


def test_micro_batches_add_up_to_the_whole_batch(
    model_directory: Path, make_samples: MakeSamples, filled: Rollout
) -> None:
    results = []
    before: dict[str, torch.Tensor] = {}
    for size in (16, 5, 1):
        policy = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
        before = weights(policy)
        # 15 samples in 2 steps: 8 and 7, so that micro batches differ in size and one of them is blank.
        config = CONFIG.model_copy(update={"micro_batch_size": size, "minibatches": 2})
        learned = learn(policy, make_samples()[:15], filled.store.image, config, seed=3)
        results.append((weights(policy), learned.metrics))
    whole, *divided = results
    for parameters, metrics in divided:
        assert metrics == pytest.approx(whole[1], rel=1e-3, abs=1e-4)
        # Not weight by weight: where a gradient is almost 0, Adam makes a whole step of the order in which it was summed.
        assert distance(parameters, whole[0]) < 0.02 * distance(before, whole[0])


def test_tokens_far_from_their_stored_probability_are_masked(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    strange = [replace(sample, logprobs=sample.logprobs - 2.0) for sample in make_samples()]
    before = weights(policy)
    learned = learn(policy, strange, filled.store.image, CONFIG)
    assert learned.metrics["guarded"] == 1.0
    assert learned.steps == 0
    assert largest_change(before, policy) == 0.0


def test_momentum_does_not_move_the_weights_in_a_step_without_tokens(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    samples = make_samples()
    strange = [replace(sample, logprobs=sample.logprobs - 2.0) for sample in samples]
    config = CONFIG.model_copy(update={"weight_decay": 0.1})
    optimizer = make_optimizer(policy.model, config)
    whole = Plan([Microbatch(tuple(range(len(samples))), sum(len(one.token_ids) for one in samples), len(samples))], 1)
    trainer_for(policy, samples, filled.store.image, whole, config, optimizer, global_step=0).train()
    before = weights(policy)
    trainer = trainer_for(policy, strange, filled.store.image, whole, config, optimizer, global_step=1)
    trainer.train()
    assert trainer.skipped_steps == 1 and largest_change(before, policy) == 0.0


def test_momentum_does_not_move_the_weights_where_every_token_is_clipped(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    """A good token that has become likelier than the clip range allows teaches nothing: as if it were masked."""
    samples, images = make_samples(advantage=1.0), filled.store.image
    optimizer = make_optimizer(policy.model, CONFIG)
    whole = Plan([Microbatch(tuple(range(len(samples))), sum(len(one.token_ids) for one in samples), len(samples))], 1)
    trainer_for(policy, samples, images, whole, CONFIG, optimizer, global_step=0).train()
    now = score(policy, samples, images)
    clipped = [
        replace(one, logprobs=np.array(found, dtype=np.float32) - 1) for one, found in zip(samples, now, strict=True)
    ]
    before = weights(policy)
    trainer = trainer_for(policy, clipped, images, whole, CONFIG, optimizer, global_step=1)
    trainer.train()
    assert trainer.sums[0]["clip_high"] == trainer.sums[0]["tokens"] and trainer.sums[0]["guarded"] == 0
    assert trainer.skipped_steps == 1 and largest_change(before, policy) == 0.0


def test_an_interrupted_run_gets_the_same_next_weights(
    model_directory: Path, make_samples: MakeSamples, filled: Rollout, tmp_path: Path
) -> None:
    samples, images = make_samples(), filled.store.image
    straight = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
    first = learn(straight, samples, images, CONFIG, seed=1)
    straight.model.save_pretrained(tmp_path)
    straight.processor.save_pretrained(tmp_path)
    save_optimizer(first.optimizer, straight.model, tmp_path)

    whole = Plan([Microbatch(tuple(range(len(samples))), sum(len(one.token_ids) for one in samples), len(samples))], 1)
    trainer_for(straight, samples, images, whole, CONFIG, first.optimizer, global_step=1).train()

    def continued(resume_optimizer: bool) -> LoadedPolicy:
        policy = load_policy(tmp_path, dtype="float32", device=pick_device("cpu"))
        optimizer = make_optimizer(policy.model, CONFIG)
        if resume_optimizer:
            assert load_optimizer(optimizer, policy.model, tmp_path)
        trainer_for(policy, samples, images, whole, CONFIG, optimizer, global_step=1).train()
        return policy

    assert largest_change(weights(straight), continued(resume_optimizer=True)) == 0.0
    assert largest_change(weights(straight), continued(resume_optimizer=False)) > 1e-5


def test_warm_up_counts_the_steps_of_earlier_iterations(
    model_directory: Path, make_samples: MakeSamples, filled: Rollout
) -> None:
    config = CONFIG.model_copy(update={"warmup_steps": 9})
    rates = []
    for done in (0, 4, 50):
        policy = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
        learned = learn(policy, make_samples()[:2], filled.store.image, config, global_step=done)
        rates.append(learned.metrics["learning_rate"])
    assert rates == pytest.approx([1e-4, 5e-4, 1e-3])


def test_a_picture_of_another_size_than_its_placeholders_is_refused(
    policy: LoadedPolicy, make_samples: MakeSamples, filled: Rollout
) -> None:
    sample = next(sample for sample in make_samples() if sample.images)
    pads = sample.prompt_token_ids == policy.image_token_id
    short = replace(sample, prompt_token_ids=sample.prompt_token_ids[~pads | (pads.cumsum() > 1)])
    with pytest.raises(ModelError, match="make 6 features here, but its prompt has 5 placeholders"):
        collate(policy, [short], filled.store.image)


def test_the_learning_rate_falls_with_the_version() -> None:
    config = UpdateConfig(learning_rate=3e-4, decay_versions=6)
    rates = [config.for_version(version).learning_rate for version in range(1, 9)]
    assert rates == pytest.approx([3e-4, 2.5e-4, 2e-4, 1.5e-4, 1e-4, 5e-5, 3e-5, 3e-5])
    assert UpdateConfig(learning_rate=3e-4).for_version(50).learning_rate == 3e-4
