"""Credit and loss as configuration: pure functions of numbers and tensors, their settings, and presets with a name."""
