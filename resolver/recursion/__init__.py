"""Recursion: asking other nodes in the name of a client, from the root down (RFC 3651 section 2).

What is asked next is decided by a pure walk; what carries the questions is passed in::

    client -> service   who may ask, one walk for all who want the same
                walk    root -> node of the prefix -> where that refers to; no I/O
                asker   which server, how long to wait, UDP and then TCP
                udp     one question from a port of its own; what is no answer is dropped, counted

- ``model``    bounds, why a walk failed, what it found
- ``places``   sites and their servers, out of HS_SITE values and of root information
- ``timing``   how fast each server answers, smoothed (RFC 6298)

Off unless the operator names the networks whose clients may ask for it (docs/recursion.md).
"""
