"""WebGym's entry point to rollouts, `AsyncWebGym`, over this project's scheduler and players; and WebGym's fields."""

from rollouts.async_webgym.gym import AsyncWebGym, MasterLost

__all__ = ["AsyncWebGym", "MasterLost"]
