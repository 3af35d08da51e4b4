"""Episodes as a Gymnasium environment, played by another program."""
