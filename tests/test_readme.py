"""The README's program for a folder of photographs, line by line as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"


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
