"""The wheel: everything in it, nothing else, and it works somewhere else."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("oomph-*.whl"))


def test_the_wheel_holds_the_files_of_the_four_packages_and_no_others(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = {
        str(path.relative_to(ROOT))
        for layer in ("kb", "index", "rag", "ui")
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == tracked
    assert {"kb/forks/cuda-out-of-memory.yaml", "ui/style.css", "ui/page.js", "kb/glossary/kv-cache.md"} <= inside


def test_the_installed_wheel_answers_from_another_folder(wheel, tmp_path, real_home):
    subprocess.run(
        [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(tmp_path / "venv")], check=True
    )
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    target = Path(site.stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    (target / "packages.pth").write_text(
        str(Path(pytest.__file__).parent.parent)
    )  # the dependencies of the environment we run in
    code = "import kb, sys; from ui.cli import main; print(kb.__file__); sys.exit(main(['ask', 'ollama is slow']))"
    environment = {**os.environ, "OOMPH_HOME": str(real_home), "PYTHONPATH": ""}
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    where, _, answer = done.stdout.partition("\n")
    assert Path(where).is_relative_to(tmp_path)
    assert answer.startswith("## Ollama is slow")


def test_the_names_that_it_claims_belong_to_nobody_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        claimed = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in claimed if not name.endswith(".dist-info")} == {"kb", "index", "rag", "ui"}
