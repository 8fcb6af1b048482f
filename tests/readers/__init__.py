"""The README's recipes for reading the latest."""
