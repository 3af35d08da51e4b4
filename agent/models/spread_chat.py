"""One policy on several servers: an episode stays with the server of its first turn, which has its prefix in the cache."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary
from zlib import crc32

from agent.failures import EpisodeFailure
from agent.models.openai_chat import OpenAIChat, Served
from agent.types import Pictures, Policy, Step, Task, Turn
from browser_service.models import Observation


class SpreadChat:
    """A policy that several servers hold. Implements `Policy`; an episode is the asyncio task that asks for its turns."""

    def __init__(self, chats: Sequence[OpenAIChat]) -> None:
        """`chats`: one for each server, in the order of `Served.at`."""
        self._chats = tuple(chats)
        self._server_of: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    @property
    def served(self) -> Served:
        """The expected state of the servers; may be changed between turns, as that of `OpenAIChat`."""
        first, *others = (chat.served for chat in self._chats)
        return first._replace(others=tuple(one.model for one in others))

    @served.setter
    def served(self, served: Served) -> None:
        for number, chat in enumerate(self._chats):
            chat.served = served.at(number)

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """A turn of the episode's server. After a failure the episode's next attempt chooses anew."""
        episode = asyncio.current_task()
        assert episode is not None, "a coroutine runs in a task"
        if episode not in self._server_of:
            self._server_of[episode] = self._emptiest(episode.get_name())
        chat: Policy = self._chats[self._server_of[episode]]
        try:
            return await chat.act(task, goal, history, observation, pictures)
        except EpisodeFailure:
            self._server_of.pop(episode, None)
            raise

    def _emptiest(self, name: str) -> int:
        """The server with the fewest episodes of this process; among equals, one that depends on the episode's name.

        Otherwise the first episodes of many processes would all go to the first server.
        """
        running = Counter(server for task, server in self._server_of.items() if not task.done())
        servers = range(len(self._chats))
        return min(servers, key=lambda server: (running[server], (server + crc32(name.encode())) % len(servers)))
