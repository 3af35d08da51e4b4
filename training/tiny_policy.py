"""Makes a tiny Qwen3-VL with its own tokenizer and processor, so that the whole loop runs on a laptop's CPU.

The result is an ordinary Hugging Face model directory: vLLM serves it and the update trains it exactly as it would
Qwen3-VL-8B. Only this file and `warm_start.py` depend on the small size.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from training.torchvision_on_cpu import declare_missing_operators

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# Words, single digits, and everything between them are separate: the same word is the same token after a quote, a
# space or a bracket, so that a very small model can match an instruction with an element's name.
PRETOKENIZE = r"\p{L}+|\p{N}|[^\p{L}\p{N}]+"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if 'image' in part or 'image_url' in part or part.type in ('image', 'image_url') -%}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif 'text' in part -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)


class Size(NamedTuple):
    """Widths and depths of the language model and the vision encoder."""

    hidden: int = 128
    layers: int = 2
    heads: int = 4
    vision_hidden: int = 64
    vision_layers: int = 2
    vocabulary: int = 2_048


def build(directory: Path, *, texts: Iterable[str], seed: int = 0, size: Size | None = None) -> int:
    """Writes a randomly initialised policy to `directory` and returns its number of parameters.

    `texts` train the tokenizer; their most frequent words become single tokens.
    """
    declare_missing_operators()
    import torch
    from transformers import Qwen2VLImageProcessor, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.models.qwen3_vl import Qwen3VLVideoProcessor

    size = size or Size()
    tokenizer = wrapped(train_tokenizer(texts, size.vocabulary))
    image_processor = Qwen2VLImageProcessor(
        patch_size=16,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": 32 * 32, "longest_edge": 1_280 * 768},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    video_processor = Qwen3VLVideoProcessor(patch_size=16, merge_size=2, temporal_patch_size=2)
    processor = Qwen3VLProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=video_processor,
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(_config(tokenizer, size))
    with torch.no_grad():
        # At the usual 0.02 the layers' outputs dominate the embedding; and attention by position needs a direction that
        # all tokens share in a model without biases.
        words = model.model.language_model.embed_tokens.weight
        words.mul_(6).add_(0.12 * torch.randn(words.shape[1]))
        model.lm_head.weight.copy_(words)
    directory.mkdir(parents=True, exist_ok=True)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.pad_token_id = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return sum(parameter.numel() for parameter in model.parameters())


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> "Tokenizer":
    """A byte-level BPE tokenizer with Qwen's special tokens, trained on `texts`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def wrapped(tokenizer: "Tokenizer") -> "PreTrainedTokenizerFast":
    """Wraps the tokenizer for transformers, with its special tokens."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=4_096,
    )


def _config(tokenizer, size: Size):
    from transformers import Qwen3VLConfig

    def token(text: str) -> int:
        return tokenizer.convert_tokens_to_ids(text)

    head = size.hidden // size.heads
    # Three axes (time, height, width) share the rotary frequencies of a head, as Qwen3-VL does.
    side = head // 6
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": size.hidden,
        "intermediate_size": 2 * size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "head_dim": head,
        "max_position_embeddings": 4_096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [head // 2 - 2 * side, side, side],
            "mrope_interleaved": True,
        },
        # vLLM on a CPU packs a tied output layer once and not again on a reload: it would keep the old weights.
        "tie_word_embeddings": False,
        "pad_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
    }
    vision = {
        "depth": size.vision_layers,
        "hidden_size": size.vision_hidden,
        "intermediate_size": 2 * size.vision_hidden,
        "num_heads": 4,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "out_hidden_size": size.hidden,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
