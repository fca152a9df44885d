"""The data directory: what a node keeps on this machine, and the lock that makes it one node's.

```
var/
  postgres/          the embedded PostgreSQL of the registry
  toplevel/          the data directory of `idnode toplevel`
  uplink/            key and certificate of the node towards the top-level node
  bootstrap-token    how the first operator signs in, readable by its owner alone
  node-key.pem       signs answers of the Handle protocol, readable by its owner alone
  log-key.pem        signs heads of the audit log's tree, likewise
  tls.pem            key and certificate for HTTPS where none are set, likewise
  statistics/        what workers have counted and not written into the database yet
  run/               lock and metrics of the running node
```
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
from collections.abc import Iterator
from pathlib import Path

from admin.settings import Settings
from registry.principals import OPERATOR, new_token
from resolver.private_files import write_private

_TOKEN_FILE = "bootstrap-token"  # noqa: S105  (a name)


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message is one line that says why."""


class InUse(DataDirectoryError):
    """Another process holds the data directory."""


def postgres(data_dir: Path) -> Path:
    """Return the directory of the embedded PostgreSQL."""
    return data_dir / "postgres"


def node_key(data_dir: Path) -> Path:
    """Return the file of the private key that HS_SITE names the public half of."""
    return data_dir / "node-key.pem"


def toplevel_key(data_dir: Path) -> Path:
    """Return the file of the private key that signs answers of the stub of the top-level node."""
    return data_dir / "toplevel" / "node-key.pem"


def toplevel_authority(data_dir: Path) -> Path:
    """Return the file of the key and the certificate of the stub's authority over nodes."""
    return data_dir / "toplevel" / "ca.pem"


def toplevel_tls(data_dir: Path) -> Path:
    """Return the file of the key and the certificate of the stub for HTTPS."""
    return data_dir / "toplevel" / "tls.pem"


def uplink(data_dir: Path) -> Path:
    """Return the directory of what this node shows the top-level node."""
    return data_dir / "uplink"


def toplevel_operator(data_dir: Path) -> Path:
    """Return the file of the token of the operator of the stub of the top-level node."""
    return data_dir / "toplevel" / "operator-token"


def log_key(settings: Settings) -> Path:
    """Return the file of the private key that signs tree heads: the one set, else our own."""
    return settings.log_key or settings.data_dir / "log-key.pem"


def snms_key(settings: Settings) -> Path:
    """Return the file of the key that hashed passwords are kept under: the one set, or our own."""
    return settings.snms_key or settings.data_dir / "snms-key"


def tls_files(settings: Settings) -> tuple[Path, Path]:
    """Return the files of the certificate and of the key for HTTPS: those set, else our own."""
    if settings.tls_cert is None:
        own = settings.data_dir / "tls.pem"
        return own, own
    return settings.tls_cert, settings.tls_key or settings.tls_cert


def metrics_file(data_dir: Path) -> Path:
    """Return the file of the shared counters."""
    return data_dir / "run" / "metrics"


def statistics(data_dir: Path) -> Path:
    """Return the directory of the files of counts."""
    return data_dir / "statistics"


@contextlib.contextmanager
def lock(data_dir: Path) -> Iterator[None]:
    """Hold the data directory, made if need be, for this process alone while the block runs.

    The lock ends with the process, however that ends. Raises InUse, DataDirectoryError.
    """
    directory = data_dir / "run"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "lock").open("a")
    except OSError as error:
        raise DataDirectoryError(f"data_dir {data_dir}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"data_dir {data_dir}: another idnode runs on it") from None
        yield


def bootstrap_token(settings: Settings) -> str:
    """Return the first operator's token: the one set, else one made once and kept.

    Raises DataDirectoryError.
    """
    known = find_bootstrap_token(settings)
    if known is not None:
        return known
    return _keep_token(settings.data_dir / _TOKEN_FILE, new_token(OPERATOR))


def operator_token(data_dir: Path) -> str:
    """Return the token of the operator of the top-level stub, made once and kept.

    Raises DataDirectoryError.
    """
    path = toplevel_operator(data_dir)
    return _read_token(path) or _keep_token(path, secrets.token_urlsafe(32))


def find_operator_token(data_dir: Path) -> str | None:
    """Return the token of the operator of the stub if there is one. Raises DataDirectoryError."""
    return _read_token(toplevel_operator(data_dir))


def _keep_token(path: Path, token: str) -> str:
    """Write a token into a file that its owner alone can read; return it."""
    write_private(path, f"{token}\n".encode("ascii"))
    return token


def find_bootstrap_token(settings: Settings) -> str | None:
    """Return the first operator's token if there is one yet. Raises DataDirectoryError."""
    if settings.bootstrap_token is not None:
        return settings.bootstrap_token
    return _read_token(settings.data_dir / _TOKEN_FILE)


def _read_token(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirectoryError(f"{path}: {error.strerror}") from None
