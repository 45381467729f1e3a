"""`make bench`: every benchmark that needs nothing but this machine, one after the other.

Example: python -m bench ingest
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHES = {
    "ingest": ["ingest.py", "--stations", "1"],
    "depot": ["depot_load.py", "1000", "5"],
}


def main() -> int:
    """Run the benchmarks named on the command line, or all; the worst exit code."""
    chosen = sys.argv[1:] or list(BENCHES)
    unknown = sorted(set(chosen) - set(BENCHES))
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
        return 64
    worst = 0
    for name in chosen:
        if name == "depot" and not shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin"):
            print("depot: left out, nginx is not installed (make system)")
            continue
        print(f"== {name}", flush=True)
        command = [sys.executable, str(HERE / BENCHES[name][0]), *BENCHES[name][1:]]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
