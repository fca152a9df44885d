"""Finding the nodes of a prefix, or the root, in the DNS: where a walk begins.

- ``names``   which names are asked for, and what SRV, NAPTR and URI records say; no I/O
- ``lookup``  one question to the DNS, and whether its answer may be believed (DNSSEC)
- ``search``  from a prefix to its servers, remembered by ttl
"""
