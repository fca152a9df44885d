"""Which steps lie in a directory, and which of them make a whole."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from registry.escrow import files
from registry.escrow.manifest import EscrowError, Manifest, Step, read

_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}-[0-9]{5}")


def name_of(manifest: Manifest) -> str:
    """Return the name of a step's directory: its time, its series, its number."""
    moment = datetime.datetime.fromtimestamp(manifest.taken_at, datetime.UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{manifest.series.hex[:8]}-{manifest.number:05d}"


def names(directory: Path) -> list[str]:
    """Return the names of the steps in `directory`, the oldest first. Raises EscrowError."""
    try:
        found = [path.name for path in directory.iterdir() if _NAME.fullmatch(path.name)]
    except OSError as error:
        raise EscrowError(f"{directory}: {error.strerror}") from None
    return sorted(found, key=lambda name: (name[:16], name[-5:]))


def latest(directory: Path, key: Ed25519PublicKey) -> Step | None:
    """Return the latest step, if there is one. Raises EscrowError."""
    found = names(directory)
    return read(directory / found[-1], key) if found else None


def whole(directory: Path, key: Ed25519PublicKey, until: str | None = None) -> list[Step]:
    """Return the snapshot and the increments up to the latest step, or to `until`, in order.

    until: the digest of the last step's manifest, in hexadecimal. Signatures, the chain and the
    digests of all files have been checked. Raises EscrowError for whatever is missing, broken or
    not signed by `key`.
    """
    # By their digests, not their names: what is in a step says where it belongs.
    found = [read(directory / name, key) for name in names(directory)]
    if not found:
        raise EscrowError(f"{directory}: there is no step of an escrow")
    steps = {step.digest: step for step in found}
    last = found[-1] if until is None else steps.get(until)
    if last is None:
        raise EscrowError(f"{directory}: there is no step with the digest {until}")
    chain = [last]
    while (before := chain[-1].manifest.previous) is not None:
        if before not in steps:
            raise EscrowError(f"{chain[-1].path.name}: the step before it is missing")
        chain.append(steps[before])
    chain.reverse()
    _agree(chain)
    for step in chain:
        for table in step.manifest.tables:
            for file in (table.rows, table.removed):
                if file is not None:
                    files.check(step.path, file)
    return chain


def _agree(chain: list[Step]) -> None:
    first = chain[0].manifest
    for number, step in enumerate(chain):
        manifest = step.manifest
        if (manifest.series, manifest.schema) != (first.series, first.schema):
            raise EscrowError(f"{step.path.name}: not of the snapshot {chain[0].path.name}")
        if manifest.number != number:
            raise EscrowError(f"{step.path.name}: number {manifest.number}, expected {number}")
        if number == 0 and not all(table.whole for table in manifest.tables):
            raise EscrowError(f"{step.path.name}: not a snapshot, but nothing is before it")
