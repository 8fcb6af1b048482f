"""The lake: names, files, merges and commits."""
