"""End to end: what a user starts, as a user starts it."""
