"""Scripted solutions: what a perfect agent does with nothing but the instruction and the list of marks."""
