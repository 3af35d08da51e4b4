"""A copy of finished work in object storage (or any file system that fsspec knows), from which another machine goes on."""
