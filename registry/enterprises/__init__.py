"""Enterprises: how they are filed, the states they go through, the codes that they are named by."""
