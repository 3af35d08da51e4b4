"""A policy without eyes: it learns from prompts without pictures, and is told what is wrong with others."""

import json
from pathlib import Path

import pytest
import torch
from stored_rollouts import Rollout
from test_update import CONFIG, arguments

from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import import_policy, versions
from training.lean_imports import prepare
from training.learning.models import load_policy, pick_device
from training.learning.report import read_report
from training.learning.update import main
from training.learning.update_inputs import Request
from training.tiny_policy import train_tokenizer, wrapped


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 of some 30 000 parameters, with a tokenizer."""
    prepare()
    from transformers import Qwen3Config, Qwen3ForCausalLM

    directory = tmp_path_factory.mktemp("text-model")
    tokenizer = wrapped(train_tokenizer(["click the button ok", "Task: click cancel"] * 4, 320))
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=512,
        tie_word_embeddings=False,
    )
    Qwen3ForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def request_for(folder: Path, model: Path, *, with_picture: bool) -> Request:
    rollout = Rollout(folder, model)
    for member in range(4):
        rollout.add(f"t{member}", member=member, reward=float(member == 0), count=2, with_picture=with_picture)
    if not with_picture:
        rollout.rescore(load_policy(model, dtype="float32", device=pick_device("cpu")))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    import_policy(model, folder / "policies")
    return Request(
        trajectories=rollout.store.root,
        verdicts=rollout.verdicts_path,
        policy=folder / "policies" / "v0000",
        policies=folder / "policies",
        version=1,
        config=folder / "config.json",
        report=folder / "report.json",
    )


def test_it_learns_from_text(tmp_path: Path, text_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    request = request_for(tmp_path, text_model, with_picture=False)
    assert main(arguments(request)) == 0, caplog.text
    report = read_report(request.report)
    assert report.counts["samples"] == 8 and report.metrics["gap_mean"] < 1e-4 and not report.masked_steps
    canary = read_canary(request.policies / "v0001")
    assert canary is not None and not canary.completions[0].images


def test_a_text_only_model_warns_that_it_can_t_see(
    tmp_path: Path, text_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = request_for(tmp_path, text_model, with_picture=True)
    assert main(arguments(request)) == 2
    (message,) = caplog.messages
    assert "the prompt shows a picture, but the policy is a text-only model; set agent.screenshot=false" in message
    assert versions(request.policies) == [0]
