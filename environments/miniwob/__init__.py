"""MiniWoB++: small web tasks (Shi et al. 2017, Liu et al. 2018) as plain pages that make, show and judge themselves."""

from environments.miniwob.environment import MiniWob

__all__ = ["MiniWob"]
