"""A model directory whose files do not fit together is a sentence, and never a policy with random numbers in it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from training.errors import ModelError
from training.learning.models import load_policy, pick_device


def configured(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def spoil(directory: Path) -> None:
        config = json.loads((directory / "config.json").read_bytes())
        change(config)
        (directory / "config.json").write_text(json.dumps(config))

    return spoil


def lose_a_tensor(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def cut_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lose_a_tensor, r"its weights lack lm_head\.weight \(1 in all\)"),
        (configured(lambda c: c["text_config"].update(num_hidden_layers=3)), r"its weights lack .*layers\.2\."),
        (configured(lambda c: c["text_config"].update(intermediate_size=64)), "can't be loaded"),
        (configured(lambda c: c["text_config"].update(hidden_size="x")), "can't be loaded"),
        (configured(lambda c: c.update(model_type="nonsense")), "can't be loaded"),
        (cut_tokenizer, "can't be loaded"),
    ],
)
def test_files_that_do_not_fit_together_are_a_sentence(
    tmp_path: Path, model_directory: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    directory = shutil.copytree(model_directory, tmp_path / "model")
    spoil(directory)
    with pytest.raises(ModelError, match=sentence) as refused:
        load_policy(directory, dtype="float32", device=pick_device("cpu"))
    assert "\n" not in str(refused.value)
