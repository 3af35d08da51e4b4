"""Weights of a new version sent to a vLLM server over the network, instead of read by it from disk (`serving.transfer`)."""
