"""What can be set from outside: the only reader of the environment, each default written here once.

OOMPH_HOME      folder for index, models, own entries (default: the platform's user data folder)
OOMPH_MODEL     a GGUF file that explains; without one the card is the answer (default: the only GGUF in HOME/models)
OOMPH_EMBEDDER  folder of a sentence-transformers model (default: the built-in all-MiniLM-L6-v2)
OOMPH_HOST      address to listen on (default: 127.0.0.1)
OOMPH_PORT      port to listen on (default: 7860)
OOMPH_PASSWORD  password of the page; needed on any other address than this machine's own
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from kb.failures import BadInput
from kb.read import BUILT_IN


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things lie and how the page is served."""

    home: Path
    model: Path | None
    embedder: Path | None
    host: str
    port: int
    password: str

    @property
    def library(self) -> Path:
        """The person's own entries."""
        return self.home / "library"

    @property
    def folders(self) -> list[Path]:
        """The folders with entries; the later ones win."""
        return [BUILT_IN, self.library]


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings.

    :raises BadInput: where the port is no number.
    """
    home = Path(environment.get("OOMPH_HOME") or user_data_path("oomph", appauthor=False)).expanduser()
    embedder = environment.get("OOMPH_EMBEDDER")
    return Settings(
        home=home,
        model=_model(environment.get("OOMPH_MODEL"), home / "models"),
        embedder=Path(embedder).expanduser() if embedder else None,
        host=environment.get("OOMPH_HOST", "127.0.0.1"),
        port=_port(environment.get("OOMPH_PORT", "7860")),
        password=environment.get("OOMPH_PASSWORD", ""),
    )


def _port(text: str) -> int:
    """Return the port that `text` names.

    :raises BadInput: where it names none.
    """
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadInput(f"{text!r} is no port.", "Give a number from 1 to 65535, such as 7860.")
    return int(text)


def _model(named: str | None, folder: Path) -> Path | None:
    """Return the named file, or the one that lies in the folder for models if there is just one."""
    if named:
        return Path(named).expanduser()
    found = sorted(folder.glob("*.gguf")) if folder.is_dir() else []
    return found[0] if len(found) == 1 else None
