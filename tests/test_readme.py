"""What the README shows runs as it stands."""

import re
from pathlib import Path

import torch

from efflab import models
from efflab.widgets.worker import worker

README = Path(__file__).parent.parent / "README.md"


def test_the_python_of_the_readme_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFLAB_JOURNAL", str(tmp_path / "journal.sqlite"))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    generator = torch.Generator().manual_seed(0)
    names = {
        "__name__": "readme",
        "my_model": models.build("cnn", shape=(1, 12, 12), n_classes=3),
        "images": torch.rand(90, 12, 12, generator=generator),
        "labels": torch.arange(90) % 3,
    }
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    worker().wait(120)
    assert names["lab"].preview((names["step"](names["shrink"], factor=0.0),)).size.n_nonzero == 0


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (README.parent / link).exists()] == []
