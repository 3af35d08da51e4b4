"""The live view of a run: reads the files of its stages and draws them in a terminal."""
