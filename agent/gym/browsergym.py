"""Our environments with BrowserGym's `reset` and `step`: its observations, and its actions as text.

    env = BrowserGymEnv(make_env("configs/demo.yaml"))
    observation, info = env.reset(options={"task": "click-button.7"})
    observation, reward, terminated, truncated, info = env.step("click('3')")

`axtree_object` and `extra_element_properties` list the page's interactive elements, which carry their `bid`; there is no
whole accessibility tree, and `dom_object` is empty. Agents that flatten the tree, or draw its boxes, find what they use.
"""

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from agent.gym.browsergym_actions import browsergym_turn
from agent.gym.environment import WebEnv
from agent.gym.spaces import AnyText
from browser_service.models import Mark, Observation

ROOT = "1"
"""Node id of the page in the tree."""


class Anything(gymnasium.Space[Any]):
    """Objects of JSON without a fixed form, as BrowserGym has them."""

    def __init__(self) -> None:
        super().__init__(shape=None, dtype=None)

    def contains(self, x: Any) -> bool:
        """True for every object."""
        return True

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """An empty object."""
        return {}

    @property
    def is_np_flattenable(self) -> bool:
        """False: there is no array of a fixed size."""
        return False


class BrowserGymEnv(gymnasium.Env[dict[str, Any], str]):
    """A `WebEnv` seen through BrowserGym's interface. Failures, ends and rewards are those of `WebEnv`."""

    metadata: dict[str, Any] = {"render_modes": [None, "rgb_array"], "render_fps": 1}

    def __init__(self, env: WebEnv) -> None:
        self._env, self.render_mode = env, env.render_mode
        size = env.observation_space["screenshot"]  # ty: ignore[not-subscriptable]
        names = ("chat_messages", "goal_object", "open_pages_urls", "open_pages_titles", "active_page_index")
        names = (*names, "dom_object", "axtree_object", "extra_element_properties", "elapsed_time")
        texts = ("goal", "url", "focused_element_bid", "last_action", "last_action_error")
        self.observation_space = spaces.Dict(
            {name: Anything() for name in names}
            | {name: AnyText(1_000_000, min_length=0) for name in texts}
            | {"screenshot": size}
        )
        self.action_space = AnyText(100_000)
        self._begun, self._page, self._goal = 0.0, Observation(url="", title="", viewport=env.viewport), ""
        self._chat: list[dict[str, Any]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As `WebEnv.reset`."""
        super().reset(seed=seed)
        seen, info = self._env.reset(seed=seed, options=options)
        self._begun, self._goal = time.monotonic(), seen["goal"]
        self._chat = [{"role": "user", "timestamp": time.time(), "message": self._goal}]
        return self._seen(seen, info, "", ""), {"task_info": info}

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Takes an action such as `click('3')` or `send_msg_to_user('42')`, which ends the episode."""
        turn = browsergym_turn(action, self._page)
        seen, reward, terminated, truncated, info = self._env.step(turn)
        if info.get("trajectory") is not None and info["trajectory"].answer is not None:
            message = {"role": "assistant", "timestamp": time.time(), "message": info["trajectory"].answer}
            self._chat = [*self._chat, message]
        error = turn.format_error or info["feedback"]
        return self._seen(seen, info, action, error), reward, terminated, truncated, {"task_info": info}

    def render(self) -> Any:
        """As `WebEnv.render`."""
        return self._env.render()

    def close(self) -> None:
        """As `WebEnv.close`."""
        self._env.close()

    def _seen(self, seen: dict[str, Any], info: dict[str, Any], action: str, error: str) -> dict[str, Any]:
        page: Observation = info["observation"]
        self._page = page
        tabs = [(tab.url, tab.title, tab.active) for tab in page.tabs] or [(page.url, page.title, True)]
        active = next((place for place, (_, _, is_active) in enumerate(tabs) if is_active), 0)
        return {
            "chat_messages": tuple(self._chat),
            "goal": self._goal,
            "goal_object": ({"type": "text", "text": self._goal},),
            "open_pages_urls": tuple(url for url, _, _ in tabs),
            "open_pages_titles": tuple(title for _, title, _ in tabs),
            "active_page_index": np.asarray([active]),
            "url": page.url,
            "screenshot": seen["screenshot"],
            "dom_object": {},
            "axtree_object": tree_of(page),
            "extra_element_properties": {str(mark.id): _properties(mark) for mark in page.marks},
            "focused_element_bid": "",
            "last_action": action,
            "last_action_error": error,
            "elapsed_time": np.asarray([time.monotonic() - self._begun]),
        }


def tree_of(page: Observation) -> dict[str, Any]:
    """The page's elements in the form of Chromium's accessibility tree, with BrowserGym's ids."""
    root = _node(ROOT, "RootWebArea", page.title) | {"childIds": [f"m{mark.id}" for mark in page.marks]}
    return {"nodes": [root, *(_element(mark) for mark in page.marks)]}


def _element(mark: Mark) -> dict[str, Any]:
    node = _node(f"m{mark.id}", mark.role, mark.name) | {"parentId": ROOT, "browsergym_id": str(mark.id)}
    if mark.value is not None:
        node["value"] = {"type": "string", "value": mark.value}
    if mark.checked is not None:
        node["properties"] = [{"name": "checked", "value": {"type": "tristate", "value": str(mark.checked).lower()}}]
    return node


def _node(name: str, role: str, text: str) -> dict[str, Any]:
    return {
        "nodeId": name,
        "ignored": False,
        "role": {"type": "role", "value": role},
        "name": {"type": "computedString", "value": text},
        "properties": [],
        "childIds": [],
    }


def _properties(mark: Mark) -> dict[str, Any]:
    box = mark.box
    return {
        "visibility": 1.0,
        "bbox": [box.x, box.y, box.width, box.height],
        "clickable": True,
        "set_of_marks": True,
    }
