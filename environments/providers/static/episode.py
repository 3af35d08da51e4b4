"""State of one episode of a static application, and the change of it by an action."""

import secrets

from environments.providers.static.visits import Action, Refused, State, Visit

MOST_STATE_BYTES = 1_000_000
"""Size of a state as JSON. An agent can't fill the memory of the process that serves all episodes."""


class StaticEpisode:
    """One episode, in memory only; the provider gives its address to the browser, and itself to the verifier."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.state: State | None = None
        self.sessions: set[str] = {secrets.token_urlsafe(24)}
        """Values of the session cookie that count as signed in."""
        self.notice = ""
        """Message for the next page."""
        self.problem = ""
        """The first error of the application's own code. Such an episode says nothing about the agent."""

    def act(self, action: Action, visit: Visit) -> str | None:
        """Carries out an action; returns the next page, None if it was refused. The state changes as a whole or not."""
        assert self.state is not None, "an episode is served only after its set-up"
        draft = self.state.model_copy(deep=True)
        try:
            page = action(draft, visit)
            if len(draft.model_dump_json()) > MOST_STATE_BYTES:
                raise Refused("There is no room for more.")
        except Refused as refused:
            self.notice = str(refused)
            return None
        self.state = draft
        self.notice = visit.notice
        return page
