"""Presets: what a configuration may say, and each one's loss and gradient against formulas written out in NumPy."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from stored_rollouts import make_trajectory

from agent.types import Completion, Trajectory
from agent.verdict import Verdict
from training.algorithms.normalisers import divisor
from training.algorithms.objective import Tokens, objective
from training.algorithms.presets import PRESETS, PresetName
from training.config import UpdateConfig
from training.sampling.filters import select
from training.sampling.sample_checks import Vocabulary
from training.sampling.samples import Sample, build_samples

NAMES = get_args(PresetName)
GROUPS = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
TURNS = [[1, 3, 2], [2, 1, 2]]
Numbers = np.ndarray


# ---- configuration ---------------------------------------------------------------------------------------------------
def test_the_default_is_grpo_and_what_a_user_sets_wins() -> None:
    assert UpdateConfig() == UpdateConfig(preset="grpo")
    assert {key: getattr(UpdateConfig(), key) for key in PRESETS["grpo"]} == PRESETS["grpo"]
    changed = UpdateConfig(preset="webgym", epochs=1, replay_samples=None)
    assert (changed.credit, changed.loss_type, changed.epochs, changed.replay_samples) == ("success", "nll", 1, None)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_can_be_read_written_and_read_again(name: PresetName) -> None:
    config = UpdateConfig(preset=name)
    assert {key: getattr(config, key) for key in PRESETS[name]} == PRESETS[name]
    assert UpdateConfig.model_validate_json(config.model_dump_json()) == config
    complete = UpdateConfig.model_validate({**PRESETS["grpo"], **PRESETS[name]})
    assert complete.model_copy(update={"preset": name}) == config, "PRESETS['grpo'] names every key that others change"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"loss_type": "nll"}, "nll has no bound for negative advantages, which credit group gives"),
        ({"behaviour_weight": "clamp"}, "which is 1 with proximal_policy sampling; set proximal_policy to recomputed"),
        ({"loss_type": "cispo", "proximal_policy": "recomputed"}, "cispo clips no ratio to a proximal policy"),
        ({"loss_type": "cispo", "dual_clip": 3.0}, "dual_clip bounds a clipped ratio, and loss_type cispo has none"),
        ({"dual_clip": 1.2}, "dual_clip 1.2 must be above 1 + clip_high, which is 1.28"),
        (
            {"credit": "ema"},
            "groups of one, which have no standard deviation; set advantage_scale to batch_std or none",
        ),
        ({"credit": "success", "step_weight": 1.0}, "adds advantages within a group, but credit success has none"),
        ({"credit": "success", "format_penalty": 0.1}, "with credit success all advantages are 1; mask steps with"),
        ({"replay_samples": 5}, "draws from a buffer of successes, which credit group has not"),
        ({"replay_iterations": 5}, "replay_iterations 5 is beyond max_staleness 4"),
        ({"preset": "ppo"}, "Input should be 'grpo', 'webgym'"),
        ({"kl_coefficient": math.nan}, "finite number"),
    ],
)
def test_a_combination_without_meaning_is_refused_in_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence.replace("+", r"\+")):
        UpdateConfig.model_validate(given)


# ---- loss and gradient -----------------------------------------------------------------------------------------------
def played() -> tuple[list[Trajectory], dict[str, Verdict]]:
    """Two groups of three with 1 to 3 turns each; all first turns of a group see one page, all second ones another."""
    rng = np.random.default_rng(0)
    trajectories: list[Trajectory] = []
    verdicts: dict[str, Verdict] = {}
    for group, rewards in enumerate(GROUPS):
        for member, reward in enumerate(rewards):
            name = f"g{group}m{member}"
            steps = [
                Completion(
                    text="x",
                    prompt_token_ids=(1,),
                    token_ids=tuple(range(2, 2 + size)),
                    logprobs=tuple(rng.uniform(-3, -0.1, size)),
                    policy_version=1 + member % 2,
                )
                for size in rng.integers(1, 5, TURNS[group][member])
            ]
            made = make_trajectory(name, steps, group=f"g{group}", member=member)
            pages = [
                one.model_copy(update={"observation": one.observation.model_copy(update={"ax_tree": f"page {turn}"})})
                for turn, one in enumerate(made.steps)
            ]
            trajectories.append(made.model_copy(update={"steps": tuple(pages)}))
            verdicts[name] = Verdict(trajectory_id=name, reward=reward, judge="test")
    return trajectories, verdicts


def samples_of(config: UpdateConfig) -> list[Sample]:
    trajectories, verdicts = played()
    members = select(trajectories, verdicts, config).members
    vocabulary = Vocabulary(size=100, image_token=None)
    return build_samples(
        members, vocabulary=vocabulary, policy_version=2, max_staleness=config.max_staleness, config=config
    ).samples


def padded(rows: list[Numbers]) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=torch.float64) for row in rows], batch_first=True)


def ours(
    config: UpdateConfig, samples: list[Sample], now: list[Numbers], parent: list[Numbers]
) -> tuple[float, Numbers]:
    """Loss of one optimiser step and its gradient by every token's log-probability, tokens after one another."""
    logprobs = padded(now).requires_grad_()
    sizes = [len(one.token_ids) for one in samples]
    mask = padded([np.ones(size) for size in sizes])
    tokens = Tokens(
        logprobs=logprobs,
        entropies=torch.zeros_like(mask),
        sampled=padded([one.logprobs for one in samples]),
        advantages=mask * torch.tensor([one.advantage for one in samples], dtype=torch.float64)[:, None],
        mask=mask,
        weights=torch.tensor([one.weight for one in samples], dtype=torch.float64),
        lags=torch.tensor([2.0 - one.policy_version for one in samples]),
        proximal=padded(parent),
    )
    total = objective(tokens, config).total / divisor(
        config.normaliser, tokens=sum(sizes), responses=len(samples), constant=config.normaliser_constant
    )
    total.backward()
    assert logprobs.grad is not None
    return total.item(), logprobs.grad[mask > 0].numpy()


def numpy_advantages(name: str) -> list[tuple[str, int, float]]:
    """Trajectory, turn and advantage, from the papers' formulas."""
    found = []
    for group, rewards in enumerate(GROUPS):
        r, turns = np.array(rewards), TURNS[group]
        centred = r - r.mean()
        a = {"rloo": centred * 3 / 2, "dr_grpo": centred, "gigpo": centred}.get(name, centred / (r.std(ddof=1) + 1e-4))
        for i in range(3):
            for turn in range(turns[i]):
                returns = {j: r[j] * 0.95 ** (turns[j] - 1 - turn) for j in range(3) if turns[j] > turn}
                step = returns[i] - np.mean(list(returns.values())) if name == "gigpo" else 0.0
                if name != "webgym" or r[i] == 1:
                    found.append((f"g{group}m{i}", turn, 1.0 if name == "webgym" else a[i] + step))
    return found


def numpy_loss(
    name: str, lp: list[Numbers], mu: list[Numbers], parent: list[Numbers], a: list[float], frozen: Any
) -> float:
    """The loss of a preset; `frozen` are the log-probabilities inside detached weights."""
    terms: list[Numbers] = []
    for i in range(len(lp)):
        rho, low, high = np.exp(lp[i] - mu[i]), 0.2, 0.28 if name == "grpo" else 0.2
        keep = np.abs(lp[i] - mu[i]) <= math.log(5)
        if name == "webgym":
            terms.append(-lp[i])
            continue
        if name == "cispo":
            terms.append(-np.minimum(np.exp(frozen[i] - mu[i]), 5) * a[i] * lp[i])
            continue
        if name == "gspo":
            rho, low, high = np.full(len(lp[i]), np.exp(np.mean(lp[i] - mu[i]))), 3e-4, 4e-4
            keep = np.abs(np.log(rho)) <= math.log(5)
        weight = np.ones(len(lp[i]))
        if name == "asyncwebrl":
            rho, weight = np.exp(lp[i] - parent[i]), np.exp(parent[i] - mu[i])
            keep = weight <= 5
        term = -np.minimum(rho * a[i], np.clip(rho, 1 - low, 1 + high) * a[i])
        if name == "asyncwebrl" and a[i] < 0:
            term = np.minimum(term, -3 * a[i])
        terms.append(term * weight * keep)
    if name == "gspo":
        return float(np.mean([one.mean() for one in terms]))
    return sum(one.sum() for one in terms) / (len(terms) * 100 if name == "dr_grpo" else sum(map(len, terms)))


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_those_of_the_formulas(name: PresetName) -> None:
    """Gradients by central differences, over ratios that are clipped, masked, capped and left alone."""
    config = UpdateConfig(preset=name)
    samples = samples_of(config)
    expected = sorted(numpy_advantages(name))
    assert [(one.trajectory_id, one.step) for one in samples] == [(name, turn) for name, turn, _ in expected]
    assert [one.advantage for one in samples] == pytest.approx([advantage for *_, advantage in expected], abs=1e-6)
    rng = np.random.default_rng(3)
    mu = [one.logprobs.astype(np.float64) for one in samples]
    parent = [row + rng.normal(0, 1.2, len(row)) for row in mu]
    lp = [row + rng.choice([0.0, 0.1, -0.1, 0.5, -0.5, 1.3, -1.3, 2.0, -2.0], len(row)) for row in mu]
    advantages = [one.advantage for one in samples]
    loss, gradient = ours(config, samples, lp, parent)
    assert loss == pytest.approx(numpy_loss(name, lp, mu, parent, advantages, lp), rel=1e-6)
    numeric = []
    for i in range(len(lp)):
        for t in range(len(lp[i])):
            moved = []
            for sign in (1, -1):
                shifted = [row.copy() for row in lp]
                shifted[i][t] += sign * 1e-6
                moved.append(numpy_loss(name, shifted, mu, parent, advantages, lp))
            numeric.append((moved[0] - moved[1]) / 2e-6)
    assert gradient == pytest.approx(numeric, abs=1e-6, rel=1e-4)
    assert np.abs(gradient).max() > 0


VARIANTS = [
    *({"preset": name} for name in NAMES),
    {"proximal_policy": "interpolated", "behaviour_weight": "clamp", "normaliser": "trajectory"},
    {"proximal_policy": "recomputed", "behaviour_weight": "sequence", "normaliser": "turn", "dual_clip": 3.0},
    {"preset": "gspo", "proximal_policy": "recomputed", "credit": "leave_one_out", "advantage_scale": "batch_std"},
    {"credit": "ema", "advantage_scale": "none"},
]


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
@pytest.mark.parametrize("given_", VARIANTS, ids=str)
def test_every_order_gives_the_same_finite_loss(given_: dict[str, Any], seed: int) -> None:
    """Also for ratios of e**60 either way: a server may store any log-probability."""
    config = UpdateConfig.model_validate(given_)
    samples, rng = samples_of(config), np.random.default_rng(seed)
    now, parent = ([row + rng.normal(0, 20, len(row)) for row in [one.logprobs for one in samples]] for _ in range(2))
    loss, gradient = ours(config, samples, now, parent)
    assert math.isfinite(loss) and np.isfinite(gradient).all()
    order = rng.permutation(len(samples))
    again, _ = ours(config, *([rows[row] for row in order] for rows in (samples, now, parent)))
    assert again == pytest.approx(loss, rel=1e-9, abs=1e-12)


def test_a_kl_term_and_an_entropy_bonus_are_added_over_all_tokens() -> None:
    """Two tokens: KL estimates of 0.368 and 0, entropies of 2 and 4; the policy term is 0 at an advantage of 0."""
    config = UpdateConfig(kl_coefficient=0.5, entropy_coefficient=0.1)
    zeros = torch.zeros(1, 2)
    tokens = Tokens(
        logprobs=torch.tensor([[-1.0, -1.0]]),
        entropies=torch.tensor([[2.0, 4.0]]),
        sampled=torch.tensor([[-1.0, -1.0]]),
        advantages=zeros,
        mask=torch.ones(1, 2),
        weights=torch.ones(1),
        lags=torch.zeros(1),
        reference=torch.tensor([[-2.0, -1.0]]),
    )
    found = objective(tokens, config)
    assert found.total.item() == pytest.approx(0.5 * math.exp(-1) - 0.1 * 6, rel=1e-5)
    assert found.kl.tolist() == [pytest.approx([math.exp(-1), 0.0])]
