"""Prompts of pages: every dialog is answered at once, because it blocks the page; every other prompt is refused."""

from typing import Literal

from playwright.async_api import Dialog
from playwright.async_api import Error as PlaywrightError

from browser_service.background import Background
from browser_service.tabs.well_formed import well_formed

ACCEPTED = frozenset({"alert", "beforeunload"})
MOST_NOTICES = 20
LONGEST_NOTICE = 500
Policy = Literal["accept", "dismiss"]


class Dialogs:
    """The dialogs of one session, answered by policy and remembered for the next observation."""

    def __init__(self) -> None:
        self._policy: Policy = "dismiss"
        self._notices: list[str] = []
        # A page may be gone before its dialog is answered.
        self._background = Background(PlaywrightError)

    def begin(self, policy: Policy) -> None:
        """Starts a lease. `policy`: answer to confirm and prompt; alerts and beforeunload are always accepted."""
        self._policy = policy
        self._notices = []

    def answer(self, dialog: Dialog) -> None:
        """Listener of the context's event `dialog`."""
        if len(self._notices) < MOST_NOTICES:
            said = "the page asked whether to leave it" if dialog.type == "beforeunload" else dialog.message
            self._notices.append(f"{dialog.type}: {well_formed(said[:LONGEST_NOTICE])}")
        is_accepted = dialog.type in ACCEPTED or self._policy == "accept"
        self._background.start(dialog.accept(dialog.default_value) if is_accepted else dialog.dismiss())

    def take(self) -> list[str]:
        """Messages of dialogs since the last call."""
        notices, self._notices = self._notices, []
        return notices
