"""The processes of one update: their group, weights sharded over them, and the whole tensors gathered again to be written."""
