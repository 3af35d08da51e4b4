"""Tokenizers like those of other families, made by the `tokenizers` library: their control tokens, flags and normalisers."""

import json
from pathlib import Path
from typing import NamedTuple

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers


class Family(NamedTuple):
    """A tokenizer on disk, as a model directory holds it."""

    name: str
    directory: Path
    tokenizer: Tokenizer
    control: list[str]
    """Tokens that untrusted text must not become."""

    def found_in(self, text: str) -> list[str]:
        """The control tokens that the tokenizer finds in a text."""
        ids = {self.tokenizer.token_to_id(token): token for token in self.control}
        return [ids[token] for token in self.tokenizer.encode(text, add_special_tokens=False).ids if token in ids]


LLAMA = ["<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<image>"]
MISTRAL = ["<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[TOOL_CALLS]"]
GEMMA = ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<unused7>", "[multimodal]"]
QWEN = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|endoftext|>"]
DEEPSEEK = ["<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"]  # noqa: RUF001 as it writes them
ODD = ["<", "<|", "<|a", "<|a|>", "< |a|>", "<| a|>", "⏎", "a b", " <PRE>", "STOP", "<|/x|>", "|>\n<|"]
"""Tokens inside tokens, with spaces, without brackets, of one character."""


def families(root: Path) -> dict[str, Family]:
    """All of them, written under `root`."""
    flags = {"lstrip": True, "rstrip": True, "normalized": False}
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    lenient = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.NFD(), normalizers.StripAccents()]
    )
    hide = normalizers.Sequence([lenient, normalizers.Replace(Regex("[\u200b\u2060\ufeff]"), "")])
    made = [
        _family(root, "llama", LLAMA, spaces, normalized=True),
        _family(root, "mistral", MISTRAL, None, single_word=True),
        _family(root, "gemma", GEMMA, None, words=["\n\n", "  ", "cheap", "<h1>"]),
        _family(root, "qwen", QWEN, normalizers.NFC(), **flags, words=["<tool_call>", "</tool_call>", "<think>"]),
        _family(root, "deepseek", DEEPSEEK, None),
        _family(root, "folding", [*QWEN, *GEMMA], hide, normalized=True),
        _family(
            root, "bert", ["[CLS]", "[SEP]", "[MASK]", "<|IM_END|>"], normalizers.BertNormalizer(), normalized=True
        ),
        _family(root, "odd", ODD, None),
    ]
    return {family.name: family for family in made}


def _family(
    root: Path,
    name: str,
    special: list[str],
    normalizer: normalizers.Normalizer | None,
    *,
    words: list[str] | None = None,
    normalized: bool = False,
    lstrip: bool = False,
    rstrip: bool = False,
    single_word: bool = False,
) -> Family:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(
        [
            AddedToken(token, lstrip=lstrip, rstrip=rstrip, single_word=single_word, normalized=normalized)
            for token in special
        ]
    )
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words or []])
    directory = root / name
    directory.mkdir()
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps({"eos_token": special[0]}))
    markup = [word for word in words or [] if word.startswith("<")]
    return Family(name, directory, tokenizer, [token for token in special if token != "<"] + markup)
