"""The Handle protocol on the wire."""
