"""Scripted solutions: actions of a perfect agent that has only the instruction and the list of marks."""
