"""Python scripts that run in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import skcnn

PACKAGE_PARENT = str(Path(skcnn.__file__).parent.parent)


def run_script(text, folder, timeout, **environment):
    """Run a script in a fresh interpreter. It is a file, so that spawned children can import it again.

    Variables of the environment are passed as keywords.
    """
    script = folder / "script.py"
    script.write_text(text, encoding="utf-8")
    path = os.pathsep.join([PACKAGE_PARENT, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
