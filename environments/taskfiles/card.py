"""Dataset cards: what a file of tasks holds, where it comes from, under which licence, and the digest of its bytes.

A card is Markdown with YAML front matter, as Hugging Face reads it: `tasks.jsonl` has the card `tasks.jsonl.card.md`.
"""

import hashlib
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.taskfiles.counting import TaskCounts
from environments.taskfiles.rows import TaskFileError

SUFFIX = ".card.md"
MARK = "---\n"
Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Card(BaseModel):
    """Content of a dataset card. Example: `Card(name="tasks.jsonl", license="mit", tasks=300, sha256="9f..", splits={"train": 300})`."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    name: Line
    license: Annotated[Line, Field(min_length=1)]
    """The licence of the tasks' texts, as an SPDX id; `unknown` where nobody stated one."""
    source: Line = ""
    """Origin of the tasks."""
    tasks: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the file's bytes."""
    splits: dict[Line, int] = {}
    difficulty: dict[Line, int] = {}
    """Tasks by band of difficulty."""
    sites: int = 0
    """Different hosts of start addresses."""
    rejected: int = 0
    """Rows of the source that were no tasks."""


def card_path(path: Path) -> Path:
    """The path of a file's card."""
    return path.with_name(path.name + SUFFIX)


def card_of(path: Path, counts: TaskCounts, *, licence: str, source: str = "", rejected: int = 0) -> Card:
    """The card of a file whose tasks were counted. Raises OSError, and ValueError for a text that is no single line."""
    by = counts.by
    return Card(
        name=path.name,
        license=licence,
        source=source,
        tasks=counts.tasks,
        sha256=digest_of(path),
        splits={name: count.tasks for name, count in sorted(by["split"].items())},
        difficulty={name: count.tasks for name, count in sorted(by["difficulty"].items())},
        sites=len(by["site"].keys() - {""}),
        rejected=rejected,
    )


def card_text(card: Card) -> str:
    """The card as Markdown."""
    head = yaml.safe_dump(card.model_dump(), sort_keys=False, allow_unicode=True)
    rows = [f"| {name} | {count} |" for name, count in (*card.splits.items(), *card.difficulty.items())]
    table = "\n".join(["| split, or difficulty | tasks |", "|---|---|", *rows])
    return f"{MARK}{head}{MARK}\n# {card.name}\n\n{card.tasks} tasks on {card.sites} sites.\n\n{table}\n"


def read_card(path: Path) -> Card:
    """Reads a card. Raises `TaskFileError` if there is none, or if it is damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TaskFileError(f"there is no dataset card {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TaskFileError(f"{path} cannot be read as a dataset card ({error})") from None
    head = text.removeprefix(MARK).partition(f"\n{MARK}")[0] if text.startswith(MARK) else ""
    try:
        return Card.model_validate(yaml.safe_load(head))
    except (yaml.YAMLError, ValidationError) as error:
        words = " ".join(str(error).split())[:200]
        raise TaskFileError(f"{path} is no dataset card: {words}") from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def difference(path: Path, card: Card) -> str:
    """How a file differs from its card, as a sentence; "" if it does not. Raises OSError."""
    found = digest_of(path)
    if found == card.sha256:
        return ""
    return f"{path} is not the file of its card: expected SHA-256 {card.sha256[:16]}.., found {found[:16]}.."
