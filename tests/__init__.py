"""The suite: walks the fleet, runs it end to end, and holds the servers that stand for the real ones."""
