"""Facts: graphics cards and open models as data, each with its sources; and what can be computed from them.

Files: facts/*.yaml below a knowledge folder, with `sources`, `gpus` and `models`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from kb.entry import Frozen, Id, Line, Source
from kb.read import BrokenEntry, Problem, line_of, parse_yaml

Count = Annotated[int, Field(gt=0)]
GpuVendor = Literal["nvidia", "amd", "intel", "apple"]

_WORD = re.compile(r"[a-z]+|\d+")
TOLERANCE = 0.02  # by how much a dense model's stated parameters may differ from what its shape comes to


class Fact(Frozen):
    """What GPUs and models share: the name people say, and where the figures come from."""

    id: Id
    name: Line
    sources: tuple[str, ...] = Field(min_length=1)

    @property
    def words(self) -> list[str]:
        """The words of its name and its id, letters and digits apart, in lower case."""
        return _WORD.findall(f"{self.name} {self.id}".casefold())


class Gpu(Fact):
    """A graphics processor in one memory size: sizes in GiB (2^30 bytes), bandwidth in GB/s (10^9 bytes), power in W.

    `unified` memory is shared with the processor. `target` is what a build is made for: the compute capability of
    NVIDIA ("8.9"), the LLVM target of AMD ("gfx1100"); Intel and Apple have none here.
    """

    vendor: GpuVendor
    architecture: Line
    year: Annotated[int, Field(ge=2010, le=2100)]
    memory_gib: Annotated[float, Field(gt=0, le=2048)]
    memory_type: Line | None = None
    bandwidth_gb_s: Annotated[float, Field(ge=10, le=20000)]
    target: Line | None = None
    power_w: Annotated[int, Field(ge=5, le=3000)] | None = None
    unified: bool = False

    @property
    def summary(self) -> str:
        """The figures in one line."""
        parts = [f"{self.memory_gib:g} GiB", f"{self.bandwidth_gb_s:g} GB/s", self.architecture]
        parts += (
            [f"compute capability {self.target}" if self.vendor == "nvidia" else self.target] if self.target else []
        )
        parts += [f"{self.power_w} W"] if self.power_w else []
        return ", ".join(parts) + (", memory shared with the processor" if self.unified else "")

    def tokens_per_second(self, bytes_per_token: float) -> float:
        """Return the most tokens per second that the memory allows when each token reads `bytes_per_token`."""
        return self.bandwidth_gb_s * 1e9 / bytes_per_token


class Model(Fact):
    """An open language model by its shape; sizes in numbers (of parameters, layers, tokens), never bytes.

    `kv_layers` are the layers whose cache grows with the whole context (all, unless some slide a window or keep
    a state); `latent` is the width of a compressed cache entry (multi-head latent attention), instead of K and V.
    """

    repository: Line
    parameters: Count
    active_parameters: Count | None = None  # per token, of a mixture of experts
    layers: Count
    hidden_size: Count
    heads: Count
    kv_heads: Count
    head_size: Count
    feed_forward: Count | None = None
    vocabulary: Count
    context: Count
    tied: bool | None = None  # input and output embedding are one matrix
    experts: Count | None = None
    experts_per_token: Count | None = None
    shared_experts: Count | None = None
    kv_layers: Count | None = None
    sliding_window: Count | None = None  # tokens that the other layers keep
    latent: Count | None = None

    def kv_bytes(self, tokens: int, bytes_per_number: float = 2.0) -> float:
        """Return the bytes of the KV cache of `tokens` tokens; in 16 bits unless said otherwise."""
        whole = self.layers if self.kv_layers is None else self.kv_layers
        width = self.latent or 2 * self.kv_heads * self.head_size
        kept = tokens * whole
        if self.sliding_window is not None:
            kept += min(tokens, self.sliding_window) * (self.layers - whole)
        return kept * width * bytes_per_number

    def weights_bytes(self, bits_per_weight: float) -> float:
        """Return the bytes of all weights stored in `bits_per_weight`."""
        return self.parameters * bits_per_weight / 8

    @property
    def computed_parameters(self) -> int | None:
        """What the shape of a dense gated transformer comes to, without norms and biases; None for other shapes."""
        if self.feed_forward is None or self.tied is None or self.experts or self.latent:
            return None
        attention = self.hidden_size * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        layer = attention + 3 * self.hidden_size * self.feed_forward
        return self.layers * layer + self.vocabulary * self.hidden_size * (1 if self.tied else 2)

    @property
    def summary(self) -> str:
        """The figures in one line."""
        parts = [
            f"{billions(self.parameters)} parameters"
            + (f" ({billions(self.active_parameters)} per token)" if self.active_parameters else ""),
            f"{self.layers} layers",
            f"hidden size {self.hidden_size:,}",
            f"{self.heads} heads, {self.kv_heads} for K and V, of {self.head_size}",
            f"vocabulary {self.vocabulary:,}",
            f"context {self.context:,}",
        ]
        if self.experts:
            parts.append(f"{self.experts} experts, {self.experts_per_token} per token")
        parts.append(f"KV cache of 8,192 tokens in 16 bits {self.kv_bytes(8192) / 2**30:.3g} GiB")
        return ", ".join(parts)


def billions(count: int) -> str:
    """Return a number of parameters as people say it: 8.03 B, 494 M."""
    return f"{count / 1e9:.3g} B" if count >= 1e9 else f"{count / 1e6:.3g} M"


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts that could be read, by id, the source of each key, and what is wrong."""

    gpus: dict[str, Gpu]
    models: dict[str, Model]
    sources: dict[str, Source]
    problems: tuple[Problem, ...]

    def find(self, words: str) -> list[Gpu | Model]:
        """Return the facts whose name has every one of `words`; those that have them side by side come first.

        Letters and digits are words of their own: "7900xtx" finds the RX 7900 XTX.
        """
        sought = _WORD.findall(words.casefold())
        facts: list[Gpu | Model] = [*self.gpus.values(), *self.models.values()]
        found = [fact for fact in facts if set(sought) <= set(fact.words)]
        return sorted(found, key=lambda fact: f" {' '.join(sought)} " not in f" {' '.join(fact.words)} ")


def read_facts(*folders: Path) -> Facts:
    """Read facts/*.yaml below each of `folders`; where an id comes twice, the later folder wins.

    A broken item is a problem and takes nothing else down.
    """
    facts = Facts({}, {}, {}, ())
    problems: list[Problem] = []
    for folder in folders:
        before = {*facts.gpus, *facts.models}
        for file in sorted((folder / "facts").glob("*.yaml")):
            try:
                fields, lines = parse_yaml(file, file.read_text(encoding="utf-8"), 1)
            except BrokenEntry as broken:
                problems += broken.problems
                continue
            except (OSError, UnicodeDecodeError) as fault:
                problems.append(Problem(file, 1, "", f"cannot be read as UTF-8 text: {fault}"))
                continue
            problems += _take(file, fields, lines, facts, before)
    return Facts(facts.gpus, facts.models, facts.sources, tuple(problems))


def _take(
    file: Path, fields: dict[str, Any], lines: dict[tuple[object, ...], int], facts: Facts, before: set[str]
) -> Iterator[Problem]:
    """Add what is sound in one file to `facts`; yield the problems of the rest.

    The ids in `before` come from an earlier folder and may be replaced, each once.
    """
    places: tuple[tuple[str, type[Frozen], dict[Any, Any]], ...] = (
        ("sources", Source, facts.sources),
        ("gpus", Gpu, facts.gpus),
        ("models", Model, facts.models),
    )
    yield from _strange(file, fields, lines, facts)
    cited: set[str] = set()
    for name, kind, known in places:
        given = fields.get(name) or {}
        for key, value in given.items() if isinstance(given, dict) else enumerate(given):
            line = line_of((name, key), lines)
            try:
                made = kind.model_validate(value)
            except ValidationError as fault:
                for detail in fault.errors(include_url=False, include_context=False):
                    where = (name, key, *detail["loc"])
                    yield Problem(file, line_of(where, lines), ".".join(map(str, where)), detail["msg"])
                continue
            if not isinstance(made, Fact):
                known.setdefault(key, made)
                continue
            cited |= set(made.sources)
            yield from (Problem(file, line, made.id, message) for message in _wrong(made, facts, before))
            before.discard(made.id)
            known[made.id] = made
    for key in sorted(set(fields.get("sources") or {}) - cited):
        yield Problem(file, line_of(("sources", key), lines), "sources", f"source {key} is never cited")


def _strange(
    file: Path, fields: dict[str, Any], lines: dict[tuple[object, ...], int], facts: Facts
) -> Iterator[Problem]:
    """Yield the fields that there are not, and the keys of sources that another file has taken."""
    for unknown in sorted(set(fields) - {"sources", "gpus", "models"}):
        yield Problem(file, line_of((unknown,), lines), unknown, "is not one of sources, gpus, models")
    for key in sorted(set(fields.get("sources") or {}) & set(facts.sources)):
        yield Problem(
            file, line_of(("sources", key), lines), "sources", f"source {key} is also the key of another file's"
        )


def _wrong(fact: Fact, facts: Facts, before: set[str]) -> Iterator[str]:
    """Yield what contradicts itself in one fact."""
    if (fact.id in facts.gpus or fact.id in facts.models) and fact.id not in before:
        yield f"{fact.id} stands here twice"
    for key in fact.sources:
        if key not in facts.sources:
            yield f"there is no source {key}"
    if isinstance(fact, Model):
        yield from _misshapen(fact)


def _misshapen(model: Model) -> Iterator[str]:
    """Yield what does not fit together in the shape of a model."""
    if model.heads % model.kv_heads:
        yield f"{model.heads} heads cannot share {model.kv_heads} heads for K and V evenly"
    if (model.experts is None) != (model.experts_per_token is None):
        yield "experts and experts_per_token go together"
    if model.kv_layers and model.kv_layers > model.layers:
        yield f"kv_layers is {model.kv_layers}, of {model.layers} layers"
    shape = model.computed_parameters
    if shape and abs(shape / model.parameters - 1) > TOLERANCE:
        yield f"the shape comes to {shape:,} parameters, stated are {model.parameters:,}"
