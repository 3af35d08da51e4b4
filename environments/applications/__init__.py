"""Applications: tasks from templates, their verifiers and scripted solutions, on a place that a provider gives."""
