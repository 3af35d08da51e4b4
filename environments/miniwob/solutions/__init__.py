"""Scripted solutions: actions of a perfect agent that has only the instruction, the list of marks and the page's text."""
