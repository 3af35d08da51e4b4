"""Untrusted text never becomes a control token, whatever the family; asked of the tokenizers themselves."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers_of_families import Family, families

from agent.prompting.control_tokens import GENERIC, ControlTokens
from agent.prompting.tokenizer_files import TokenizerUnreadable, control_tokens

TINY = Path(__file__).parents[2] / "policies" / "tiny"
NAMES = ("llama", "mistral", "gemma", "qwen", "deepseek", "folding", "bert", "odd", "tiny")


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Family]:
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    return families(tmp_path_factory.mktemp("families")) | {"tiny": Family("tiny", TINY, tokenizer, special)}


@pytest.mark.parametrize("name", NAMES)
def test_no_control_token_of_the_family_is_left(known: dict[str, Family], name: str) -> None:
    family = known[name]
    control = control_tokens(family.directory)
    for token in family.control:
        text = f"before {token} after"
        assert family.found_in(text), f"{token} is none: the test would prove nothing"
        defused = control.defused(text)
        assert family.found_in(defused) == []
        assert defused.replace(" ", "").replace("\ufffd", "⏎") == text.replace(" ", "")  # it can still be read
        assert control.defused(defused) == defused


@pytest.mark.parametrize("name", NAMES)
def test_nor_of_any_text_made_of_them(known: dict[str, Family], name: str) -> None:
    family = known[name]
    control = control_tokens(family.directory)
    pieces = [token[:cut] for token in family.control for cut in range(1, len(token) + 1)]
    pieces += [token[cut:] for token in family.control for cut in range(len(token))]
    pieces += [*"<|>[]/ _\n\t\u2581", "\uff45", "\u0301", "\u200b", "\ufeff", "\x00"]

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from(pieces), max_size=12), st.sampled_from(["as it is", "upper", "NFKD", "wide"]))
    def holds(chosen: list[str], form: str) -> None:
        text = "".join(chosen)
        if form == "wide":
            text = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
        text = {"upper": text.upper(), "NFKD": unicodedata.normalize("NFKD", text)}.get(form, text)
        defused = control.defused(text)
        assert family.found_in(defused) == []
        assert defused.replace(" ", "").replace("\ufffd", "") == text.replace(" ", "").replace("⏎", "")

    holds()


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma", "qwen", "deepseek", "folding", "tiny"])
def test_where_the_tokenizer_is_not_known_every_familys_tokens_are_broken(known: dict[str, Family], name: str) -> None:
    family = known[name]
    for token in family.control:
        if token != "<h1>":  # HTML is ordinary text where nobody says that it is a token
            assert family.found_in(GENERIC.defused(f"before {token} after {token}{token}")) == []


@pytest.mark.parametrize("control", [GENERIC, control_tokens(TINY)], ids=["any family", "tiny"])
@pytest.mark.parametrize(
    "text",
    [
        "if a < b and c > d: print(x[0] | y)",
        'Price: < 10 EUR | 20 % off! [1] "ok" button (see [2])',
        "<div class='a'><p>hello</p></div> <b>bold</b> [sic] f(x) <= g(x)",
        "naïve café \uff46\uff55ll 日本語 👩‍👩‍👧 مرحبا\r\n\ttabs",
        "",
    ],
)
def test_other_text_stays_as_it_is(control: ControlTokens, text: str) -> None:
    assert control.defused(text) == text


def test_what_it_becomes() -> None:
    tiny = control_tokens(TINY)
    assert tiny.defused("a<|im_end|>b") == "a<| im_end|>b"
    assert tiny.defused("<|im_<|im_end|>end|>") == "<|im_<| im_end|>end|>"
    assert tiny.defused("<image> <|image_1|> </s>") == "< image> <| image_1|> </s>"  # processors replace words, too
    assert GENERIC.defused("[INST] </s> <start_of_turn>") == "[ INST] </ s> < start_of_turn>"


def test_words_of_the_chat_template_count(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": []}')
    template = "{% if a < b and c > d %}[INST] <<SYS>>{{ text }}<</SYS>> <turn:user> {% endif %}"
    for name, content in {
        "chat_template.jinja": template,
        "chat_template.json": json.dumps({"chat_template": template}),
        "tokenizer_config.json": json.dumps({"chat_template": [{"name": "default", "template": template}]}),
    }.items():
        (tmp_path / name).write_text(content)
        assert control_tokens(tmp_path).defused("[INST] <<SYS>> <turn:user>") == "[ INST] << SYS>> < turn:user>"
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": {"7": {"content": "~go~", "special": True}}}),
        ("tokenizer_config.json", {"pad_token": {"content": "~go~", "lstrip": False}}),
        ("tokenizer_config.json", {"extra_special_tokens": {"image_token": "~go~"}}),
        ("tokenizer_config.json", {"additional_special_tokens": ["~go~"]}),
        ("special_tokens_map.json", {"additional_special_tokens": [{"content": "~go~"}]}),
        ("added_tokens.json", {"<~go~>": 7, "ordinary": 8}),
        ("tekken.json", {"special_tokens": [{"rank": 0, "token_str": "~go~", "is_control": True}]}),
        ("processor_config.json", {"image_token": "~go~", "image_seq_length": 4}),
    ],
)
def test_every_file_that_names_tokens_is_read(tmp_path: Path, name: str, content: object) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    assert "<~go~>" not in control_tokens(tmp_path).defused("say ~go~ or <~go~>")
    assert control_tokens(tmp_path).defused("an ordinary word") == "an ordinary word"


def test_a_file_that_cannot_be_read_is_refused_and_none_is_any_family(tmp_path: Path) -> None:
    assert control_tokens(None) is GENERIC and control_tokens(tmp_path) is GENERIC
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerUnreadable, match=r"tokenizer\.json cannot be read"):
        control_tokens(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": ["<s>"]}')
    with pytest.raises(TokenizerUnreadable, match="unknown form"):
        control_tokens(tmp_path)


def test_a_page_made_of_tokens_takes_milliseconds(known: dict[str, Family]) -> None:
    tokens = ControlTokens([*known["gemma"].control, *(f"<unused{n}>" for n in range(6_000))])
    for text in ("<" * 60_000, "<unused1>" * 6_000, "<|" * 30_000, "<|" + "a" * 60_000):
        for control in (tokens, GENERIC):
            assert len(control.defused(text)) < 2 * len(text)
