"""Checks proofs without a database: what `GET …/proof` answered, with the public key of the log."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import merkle, tree_head
from protocol.merkle import BadProof
from protocol.tree_head import TreeHead
from registry.api.bodies import log as bodies
from registry.transparency.heads import SignedHead


def signed_head(head: bodies.Head) -> SignedHead:
    """Return a head out of a file. Raises BadProof for a key that is none."""
    key = tree_head.decode_key(head.public_key.encode())
    return SignedHead(
        TreeHead(head.timestamp, head.tree_size, head.root_hash),
        head.signature,
        tree_head.encode_key(key),
    )


def check(proof: bodies.IdentifierProof, key: Ed25519PublicKey) -> None:
    """See that `key` has signed the head, and that each line is in the tree under it.

    The key in the file counts for nothing. Raises BadProof, which names the leaf.
    """
    head = proof.head
    signed = TreeHead(head.timestamp, head.tree_size, head.root_hash)
    tree_head.check(signed, head.signature, key)
    for item in proof.items:
        leaf = merkle.leaf_hash(item.leaf_input.encode())
        try:
            merkle.check_inclusion(
                leaf, item.leaf_index, signed.size, item.inclusion_path, signed.root
            )
        except BadProof as error:
            raise BadProof(f"leaf {item.leaf_index}: {error}") from None
