"""The target: its pure rooms by tables of examples, the command in real pipes."""
