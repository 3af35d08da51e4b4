"""The index over the run folders: rows in the database that can be made again from the files at any time."""
