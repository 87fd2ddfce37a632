"""Run every measurement of this folder, one after another: `make bench`."""

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    codes = []
    for name in names:
        print(f"\n{name}", file=sys.stderr)
        codes.append(subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    sys.exit(max(codes, default=0))
