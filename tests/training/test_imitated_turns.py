"""Imitation of turns that have no tokens: rendered, tokenised and learned as the policy will be asked."""

import json
from pathlib import Path

import pytest
from stored_rollouts import Rollout, picture

from training.demonstrations import Turn, read_turns, samples_of_turns
from training.errors import BadInput
from training.learning.models import load_policy, pick_device, score
from training.sft import main


def turn(name: str, sha256: str, reply: str = "click(3)") -> Turn:
    content = [{"type": "image"}, {"type": "text", "text": f'[3] "ok" button\nTask: Click on {name}.'}]
    return Turn(
        trajectory_id=name, step=0, messages=[{"role": "user", "content": content}], reply=reply, images=(sha256,)
    )


def without_tokens(rollout: Rollout) -> list[Turn]:
    """A stage whose only success has no tokens, and its turn."""
    shown, images = rollout.completion(3)
    [sha256] = images
    rollout.add("shown", steps=[shown.model_copy(update={"token_ids": (), "prompt_token_ids": (), "logprobs": ()})])
    trajectory = next(iter(rollout.store))
    rollout.store.write(trajectory, images)
    return [turn("shown", sha256)]


def test_a_turn_is_tokenised_as_the_server_renders_it(model_directory: Path) -> None:
    policy = load_policy(model_directory, dtype="float32", device=pick_device("cpu"))
    [sample] = samples_of_turns([turn("a", "sha")], policy.processor, lambda name: picture(1))
    prompt, reply = sample.prompt_token_ids.tolist(), sample.token_ids.tolist()
    assert prompt.count(policy.image_token_id) == 6, "64 x 96 pixels are 2 x 3 features"
    tokenizer = policy.processor.tokenizer
    assert reply[-1] == tokenizer.eos_token_id and tokenizer.decode(reply[:-1]) == "click(3)"
    assert tokenizer.decode(prompt).rstrip().endswith("assistant")


def test_a_policy_learns_what_a_script_did(
    rollout: Rollout, model_directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turns, file, to = without_tokens(rollout), tmp_path / "turns.jsonl", tmp_path / "warm"
    file.write_text("".join(one.model_dump_json() + "\n" for one in turns))
    arguments = ["--policy", str(model_directory), "--to", str(to), "--device", "cpu", "--minibatches", "1"]
    arguments += ["--played", str(rollout.store.root), str(rollout.verdicts_path), "--epochs", "20"]
    arguments += ["--learning-rate", "3e-3"]
    assert main(arguments) == 2 and "there are no demonstrations; there is nothing to imitate" in caplog.text
    assert main([*arguments, "--demonstrations", str(file)]) == 0, caplog.text
    gains = []
    for model in (model_directory, to):
        policy = load_policy(model, dtype="float32", device=pick_device("cpu"))
        samples = samples_of_turns(turns, policy.processor, rollout.store.image)
        gains.append(sum(score(policy, samples, rollout.store.image)[0]))
    assert gains[1] - gains[0] > 1.0


def test_a_line_that_is_no_turn_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_text(turn("a", "sha").model_dump_json() + "\n" + json.dumps({"reply": 3}) + "\n")
    with pytest.raises(BadInput, match=r"turns\.jsonl, line 2: expected a turn to imitate"):
        read_turns(file)
    with pytest.raises(BadInput, match=r"none\.jsonl can't be read"):
        read_turns(tmp_path / "none.jsonl")
