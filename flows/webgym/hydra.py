"""Reads WebGym's YAML files as Hydra does, as far as they use it: a list `defaults` of files beside the file.

Hydra itself would bring its own configuration language; only this composition is needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from storage.errors import LoopError

SELF = "_self_"
MOST_FILES = 32
"""Files that one file may be composed of."""
MOST_BYTES = 1_000_000


def composed(path: Path) -> dict[str, Any]:
    """A file with the files that its `defaults` name, later ones over earlier ones; `_self_` is the file itself, which is
    last where the list does not place it. Raises `LoopError`."""
    return _composed(path, [])


def _composed(path: Path, around: list[Path]) -> dict[str, Any]:
    if path in around or len(around) >= MOST_FILES:
        raise LoopError(f"{path}: its defaults name one another in a circle")
    data = _read(path)
    names = data.pop("defaults", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LoopError(f"{path}: expected defaults to be a list of files beside it, found {str(names)[:80]}")
    merged: dict[str, Any] = {}
    for name in names if SELF in names else [*names, SELF]:
        merged = over(merged, data if name == SELF else _composed(_beside(path, name), [*around, path]))
    return merged


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; values of the second replace those of the first."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = over(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def _beside(path: Path, name: str) -> Path:
    if "/" in name or "\\" in name or name.startswith("."):
        raise LoopError(f"{path}: expected defaults to name files beside it, found {name[:80]!r}")
    return path.with_name(f"{name.removesuffix('.yaml')}.yaml")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LoopError(f"{path}: expected a configuration file, found one of more than {MOST_BYTES} bytes")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoopError(f"{path}: no such file; the files that its defaults name must be beside it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LoopError(f"{path} cannot be read ({error})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LoopError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise LoopError(f"{path}: expected a mapping of sections, found {type(data).__name__}")
    return data
