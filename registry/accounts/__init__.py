"""Accounts and what they sign in with: passwords, sessions, keys; and what holds back guessing."""
