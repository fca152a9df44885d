"""Run the migration and integration tests on the PostgreSQL that Debian installs, if it is there.

The embedded server of the wheel is one version; an operator's own server may be another.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from admin.embedded import EmbeddedPostgres

INSTALLED = Path("/usr/lib/postgresql")


def newest() -> Path | None:
    """Return the directory of the newest binaries."""
    found = [path for path in INSTALLED.glob("*/bin") if re.fullmatch("[0-9]+", path.parent.name)]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def main() -> int:
    """Run the tests; return their exit code."""
    binaries = newest()
    if binaries is None:
        print(f"skipped: no PostgreSQL in {INSTALLED}")
        return 0
    print(f"integration tests on PostgreSQL {binaries.parent.name} of this system", flush=True)
    with tempfile.TemporaryDirectory(prefix="idnode-system-") as name:
        server = EmbeddedPostgres(Path(name), binaries=binaries)
        url = server.start()
        try:
            return subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "tests/integration", *sys.argv[1:]],
                env={**os.environ, "IDNODE_TEST_DATABASE_URL": url},
                check=False,
            ).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
