"""The only place where real parts are joined: settings → encoder, index, writer → asker."""

import threading
from pathlib import Path

from index import generation as store
from index.build import Progress, Report, build, is_stale
from index.embed import Encoder, SentenceEncoder
from index.generation import Generation
from kb.failures import BadKnowledge, IndexFailure, ModelFailure
from rag.ask import Asker
from rag.write import LlamaWriter
from ui.settings import Settings


class Serving:
    """The generation that serves: noticed anew at each question, so that a re-index needs no restart.

    `failure` says why it is not the current one; None where it is.
    """

    def __init__(self, home: Path, embedder: str) -> None:
        """:param embedder: the identity of the embedder that asks; generations of another one are refused."""
        self.failure: IndexFailure | None = None
        self._home = home
        self._embedder = embedder
        self._lock = threading.Lock()
        self._refused = ""  # the name of a generation: it is not read again at each question
        self._loaded: Generation | None = None

    def __call__(self) -> Generation:
        """Return the current generation; where it cannot be loaded, the one that served before, or the last good one.

        :raises IndexFailure: where none can be loaded.
        """
        with self._lock:
            try:
                self._follow(store.current(self._home))
            except IndexFailure as failure:
                self.failure = failure
                self._loaded = self._loaded or store.last_good(self._home, self._embedder)
            if self._loaded is None:
                raise self.failure or AssertionError("what was not loaded was refused")
            return self._loaded

    def _follow(self, folder: Path) -> None:
        """Load the generation in `folder`, unless it serves already or was refused.

        :raises IndexFailure: where it cannot be loaded.
        """
        if folder.name == self._refused:
            return
        if self._loaded is None or self._loaded.manifest.name != folder.name:
            self._refused = folder.name
            self._loaded = store.load(folder, self._embedder)
        self._refused, self.failure = "", None


class Oomph:
    """The joined program: an asker over the serving index, and the means to index again."""

    def __init__(self, settings: Settings, encoder: Encoder | None = None, model: Path | None = None) -> None:
        """:param model: a GGUF that explains; None for cards alone."""
        self.settings = settings
        self.encoder: Encoder = SentenceEncoder(settings.embedder) if encoder is None else encoder
        self.serving = Serving(settings.home, self.encoder.identity)
        self.index_notice = ""  # why an older index answers
        self.model_notice = ""
        writer = None
        if model:
            try:
                writer = LlamaWriter(model)
            except ModelFailure as failure:
                self.model_notice = f"{failure} Going on with cards only."
        self.asker = Asker(self.serving, self.encoder, writer)

    @property
    def notices(self) -> list[str]:
        """What is not as the person may think, a sentence or two each: an older index answers, a model is not used."""
        index = self.index_notice or (str(self.serving.failure) if self.serving.failure else "")
        return [notice for notice in (index, self.model_notice) if notice]

    def warm_up(self) -> None:
        """Load the embedder in the background, so that the first question does not wait for it."""
        threading.Thread(target=self.encoder.encode, args=(["warm up"],), daemon=True).start()

    def index(self, progress: Progress) -> Report:
        """Index all entries anew; what did not change is not embedded again."""
        report = build(self.settings.folders, self.settings.home, self.encoder, progress)
        self.index_notice = ""
        return report

    def index_if_stale(self, progress: Progress) -> bool:
        """Index if the index is missing, damaged, or made from other content; return whether it was done.

        Where that fails, the last good index answers, and `index_notice` says so.

        :raises BadKnowledge, IndexFailure: where it fails and there is no good index.
        """
        if not is_stale(self.settings.folders, self.settings.home, self.encoder) and self._current_serves():
            return False
        try:
            self.index(progress)
        except (BadKnowledge, IndexFailure) as failure:
            try:
                created = self.serving().manifest.created
            except IndexFailure:
                raise failure from None
            self.index_notice = f"The index of {created:%Y-%m-%d %H:%M} UTC answers. {failure}"
            return False
        return True

    def _current_serves(self) -> bool:
        """Return whether the current generation can be loaded."""
        try:
            self.serving()
        except IndexFailure:
            return False
        return self.serving.failure is None
