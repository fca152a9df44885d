"""The audit log as a Merkle tree (RFC 9162): nobody alters, removes or reorders a line unseen.

The jobs process takes committed lines into the tree (sequencer.py) and signs what it has come
to (heads.py). Whoever keeps a signed head can see that the tree has only grown since; whoever
has a line can see that it is in the tree (proofs.py). `idnode audit verify` looks at all
of it (verification.py) or at a proof without the database (offline.py).
"""
