"""The README's program for a folder of photographs, line by line as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# what the start of an address stands for, and the folder and suffix of the file
PLACES = {
    "https://skcnn.readthedocs.io/en/latest/": ("docs", ".md"),
    "https://github.com/skcnn/skcnn/blob/main/": ("", None),
    "https://raw.githubusercontent.com/skcnn/skcnn/main/": ("", None),
}


def programs(heading):
    """Return the blocks of Python in a section of the README."""
    section = README.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


def test_from_a_folder_of_photographs_to_a_saved_model(tmp_path, monkeypatch, rng, capsys):
    image_class = pytest.importorskip("PIL.Image")

    def photograph(path, brightness):
        path.parent.mkdir(parents=True, exist_ok=True)
        image_class.fromarray(rng.integers(brightness, brightness + 90, (60, 80, 3)).astype(np.uint8)).save(path)

    for i in range(12):
        photograph(tmp_path / f"photos/cat/{i}.jpg", 20)
        photograph(tmp_path / f"photos/dog/{i}.jpg", 150)
    photograph(tmp_path / "new.jpg", 25)
    monkeypatch.chdir(tmp_path)

    train, predict = programs("From a folder of photographs to a saved model")
    assert len(train.replace("\n\n", "\n").splitlines()) == 6
    exec(train, {})
    assert "val_accuracy=1.0" in capsys.readouterr().out
    exec(predict, {})
    assert capsys.readouterr().out == "['cat']\n"


def test_links_work_outside_the_repository_and_lead_to_pages_that_exist():
    targets = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        assert target.startswith("https://"), target
        for start, (folder, suffix) in PLACES.items():
            if target.startswith(start):
                path = ROOT / folder / target.removeprefix(start).split("#")[0]
                is_built = path.parent.name == "gallery"
                assert is_built or (path.with_suffix(suffix) if suffix else path).exists(), target
