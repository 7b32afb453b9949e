"""Packages of Debian and of PyPI, fetched and unpacked into a cache folder: nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def cache_folder():
    """Return the folder of the environment variable ``SKCNN_DATA_CACHE``, otherwise one in the home folder."""
    folder = Path(os.environ.get("SKCNN_DATA_CACHE") or Path.home() / ".cache" / "skcnn-benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def debian(package):
    """Return the folder that contains the files of a Debian package."""
    return _unpacked(package, _fetch_debian)


def pypi(requirement):
    """Return the folder that contains the files of a wheel, for a requirement such as ``"seglearn==1.2.5"``."""
    return _unpacked(requirement, _fetch_pypi)


def _unpacked(package, fetch):
    folder = cache_folder() / "packages" / package
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            fetch(package, Path(temporary))
            shutil.move(Path(temporary) / "files", folder)
    return folder


def _fetch_debian(package, folder):
    _run(["apt-get", "download", package], folder, "run `apt-get update` once, on Debian 12")
    (archive,) = folder.glob("*.deb")
    _run(["dpkg-deb", "-x", archive, folder / "files"], folder, "dpkg-deb must be installed")


def _fetch_pypi(requirement, folder):
    options = ["--no-deps", "--only-binary=:all:", "--quiet"]
    _run([sys.executable, "-m", "pip", "download", *options, requirement], folder, "pip must be installed")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "files")


def _run(command, folder, advice):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed; {advice}:\n{done.stderr}")
