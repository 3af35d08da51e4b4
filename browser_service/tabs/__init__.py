"""The open pages of a session: tabs, frames, settling, looking and marks."""
