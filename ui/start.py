"""The only place where real parts are joined: settings → encoder, index, writer → asker."""

import threading
from pathlib import Path

from index import generation as store
from index.build import Progress, Report, build, is_stale
from index.embed import Encoder, SentenceEncoder
from index.generation import Generation
from kb.failures import IndexFailure, ModelFailure
from rag.ask import Asker
from rag.write import LlamaWriter
from ui.settings import Settings


class Serving:
    """The generation that serves: noticed anew at each question, so that a re-index needs no restart."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._loaded: Generation | None = None

    def __call__(self) -> Generation:
        """Return the current generation; where it cannot be loaded, the one that served before, or the last good one.

        :raises IndexFailure: where none can be loaded.
        """
        with self._lock:
            try:
                folder = store.current(self._home)
                if self._loaded is None or self._loaded.manifest.name != folder.name:
                    self._loaded = store.load(folder)
            except IndexFailure:
                self._loaded = self._loaded or store.last_good(self._home)
                if self._loaded is None:
                    raise
            return self._loaded


class Oomph:
    """The joined program: an asker over the serving index, and the means to index again."""

    def __init__(self, settings: Settings, encoder: Encoder | None = None, model: Path | None = None) -> None:
        """:param model: a GGUF that explains; None for cards alone."""
        self.settings = settings
        self.encoder: Encoder = SentenceEncoder(settings.embedder) if encoder is None else encoder
        self.serving = Serving(settings.home)
        self.model_notice = ""
        writer = None
        if model:
            try:
                writer = LlamaWriter(model)
            except ModelFailure as failure:
                self.model_notice = str(failure)
        self.asker = Asker(self.serving, self.encoder, writer)

    def warm_up(self) -> None:
        """Load the embedder in the background, so that the first question does not wait for it."""
        threading.Thread(target=self.encoder.encode, args=(["warm up"],), daemon=True).start()

    def index(self, progress: Progress) -> Report:
        """Index all entries anew; what did not change is not embedded again."""
        return build(self.settings.folders, self.settings.home, self.encoder, progress)

    def index_if_stale(self, progress: Progress) -> bool:
        """Index if the index is missing, damaged, or made from other content; return whether it was done."""
        if not is_stale(self.settings.folders, self.settings.home, self.encoder):
            try:
                self.serving()
                return False
            except IndexFailure:
                pass  # its manifest is right, its parts are not: it is built again below
        self.index(progress)
        return True
