"""Measurement of the judges themselves: agreement with a reference, metrics per judge, canaries, labelled sets."""
