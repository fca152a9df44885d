"""What is said on the wire: pure functions and values, no I/O, no clock, no database."""
