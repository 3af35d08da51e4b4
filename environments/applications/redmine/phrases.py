"""Phrases of the goals and of the rubric of the tracker's task templates."""

ANSWERED = "The answer is what the page shows."
OWN = 'the issue "{subject}", which is assigned to Robin Vale'
NUMBERED = "the issue #{number} of {project}"
NAMED = 'the issue "{subject}" of {project}'
