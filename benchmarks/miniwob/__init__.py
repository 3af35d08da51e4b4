"""Measured difficulty of the MiniWoB++ families."""
