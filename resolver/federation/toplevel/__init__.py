"""The stub of the top-level node: what secondary nodes file is checked, kept and shown."""
