"""Measure the download of a plain install: number and size of the wheels of dependencies."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Download the dependencies into a folder and report."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, "."],
            check=True,
            cwd=Path(__file__).parent.parent,
        )
        sizes = {
            path.name: path.stat().st_size
            for path in Path(folder).iterdir()
            if not path.name.startswith("relik_server")
        }
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    print(
        json.dumps(
            {
                "packages": len(sizes),
                "mb": round(sum(sizes.values()) / 1e6, 1),
                "largest": {name.split("-")[0]: round(sizes[name] / 1e6, 1) for name in largest},
            }
        )
    )


if __name__ == "__main__":
    main()
