"""Publishing: a checkpoint is loaded by the running model server, and proved to be served."""
