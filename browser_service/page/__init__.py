"""The scripts that run in every document.

`LISTENERS` and `REFUSED` run in the page's own world and only remember which elements listen to clicks, and what the page
asked for in vain. Everything else runs in a world of its own on the same document (CDP's isolated world): the page can
neither see it, nor call it, nor answer for it.
"""

import secrets
from pathlib import Path

_HERE = Path(__file__).parent
_PARTS = ("safe.js", "watch.js", "place.js", "find.js", "name.js", "look.js", "act.js", "scroll.js")
_OFFERED = (
    "quiet, hasPainted, look, survey, aim, adopt, frameBox, showFrame, bare, setById, setAt, caret, choose, chooseAt, "
    "fileInput, fileInputAt, "
    "scrollMark, scrollAt, scrollPage, metadata, forget, heard, catchUp, notice"
)

WORLD = "rl-loop"
"""Name of the isolated world."""
NAME = f"__rlLoop{secrets.token_hex(8)}"
"""Global of the script in the isolated world. Its name can't be guessed, so an answer can only be ours."""
LISTENERS = (_HERE / "listeners.js").read_text(encoding="utf-8")
REFUSED = (_HERE / "refusals.js").read_text(encoding="utf-8")


def _assemble() -> str:
    parts = "\n".join((_HERE / part).read_text(encoding="utf-8") for part in _PARTS)
    begin = f"(() => {{\n'use strict';\nconst NAME = '{NAME}';\nif (globalThis[NAME]) return;\n"
    end = f"globalThis[NAME] = Object.freeze({{ {_OFFERED} }});\n}})();\n"
    return begin + parts + end


PAGE_SCRIPT = _assemble()
