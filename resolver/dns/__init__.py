"""Answers of the DNS front."""
