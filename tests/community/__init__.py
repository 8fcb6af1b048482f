"""What community taps send, and what the lake makes of it."""
