"""The command line: parses, calls, prints. Everything it can do is a function elsewhere."""

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kb.failures import BadInput, Failure

if TYPE_CHECKING:  # `oomph --help` imports nothing heavy
    from rag.ask import Asker
    from ui.settings import Settings
    from ui.start import Oomph

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


MANY_FACTS = 12  # above that, a list is wanted, not its sources


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a failure the person can mend is one line and exit code 1, anything else keeps its traceback."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except Failure as failure:
        print(f"oomph: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("oomph: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our pipe, such as `head`, has enough
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oomph", description="Help for people who run AI models on their own hardware."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = _command(commands, "serve", "open the page in the browser (indexes first where needed)")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (default: 7860)")
    serve.add_argument("--model", type=Path, metavar="GGUF", help="a model that explains the card")
    serve.add_argument("--no-auth", action="store_true", help="listen on another address without a password")
    serve.set_defaults(run=_serve)

    ask = _command(commands, "ask", "answer a question, an error or a log")
    ask.add_argument("text", nargs="?", help="the question, or - to read a log from a pipe")
    ask.add_argument("--json", action="store_true", help="print one JSON object")
    ask.add_argument(
        "--batch", type=Path, metavar="IN.jsonl", help='answer many: one {"id", "query"} or {"id", "turns"} a line'
    )
    ask.add_argument("--out", type=Path, metavar="OUT.jsonl", help="where the answers of --batch go")
    ask.add_argument("--model", type=Path, metavar="GGUF", help="a model that explains the card")
    ask.set_defaults(run=_ask)

    index = _command(commands, "index", "index the entries anew; only what changed is embedded")
    index.set_defaults(run=_index)

    _add_kb(_command(commands, "kb", "the knowledge base").add_subparsers(required=True, metavar="COMMAND"))

    where = _command(commands, "where", "print the folder of index, models and your own entries")
    where.set_defaults(run=_where)
    return parser


def _add_kb(kb: "Commands") -> None:
    check = _command(kb, "check", "report every problem with file, line and field")
    check.add_argument(
        "folder", nargs="?", type=Path, help="a folder with errors/, glossary/, forks/ (default: built-in and your own)"
    )
    check.add_argument("--stats", action="store_true", help="print what there is, in figures")
    check.set_defaults(run=_check)
    new = _command(kb, "new", "write a new entry to fill in")
    new.add_argument("kind", choices=["error", "glossary"])
    new.add_argument("name", help="what people call it")
    new.add_argument(
        "folder", nargs="?", type=Path, help="a folder with errors/, glossary/, forks/ (default: that of your own)"
    )
    new.set_defaults(run=_new)
    facts = _command(kb, "facts", "print what is known of graphics cards and models, with sources")
    facts.add_argument("words", nargs="*", help="parts of the name, such as: rtx 3060")
    facts.set_defaults(run=_facts)


def _command(commands: "Commands", name: str, sentence: str) -> argparse.ArgumentParser:
    """Add a command; `sentence` says what it does, in the list of commands and in its own help."""
    return commands.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")


def _serve(parsed: argparse.Namespace) -> int:
    settings = _settings(OOMPH_HOST=parsed.host, OOMPH_PORT=parsed.port)
    local = settings.host in ("127.0.0.1", "localhost", "::1")
    if not local and not settings.password and not parsed.no_auth:
        raise BadInput(
            f"{settings.host} can be reached by others, and no password is set.",
            "Set OOMPH_PASSWORD, or pass --no-auth if that is meant.",
        )
    from ui.start import Oomph
    from ui.web import serve

    oomph = Oomph(settings, model=parsed.model or settings.model)
    _prepare(oomph)
    serve(oomph)
    return 0


def _ask(parsed: argparse.Namespace) -> int:
    if parsed.batch is None and parsed.text is None:
        raise BadInput("There is no question.", 'Try: oomph ask "what is a KV cache?", or pipe a log into: oomph ask -')
    if (parsed.batch is None) != (parsed.out is None):
        raise BadInput("--batch and --out go together.", "Name both files.")
    text = ""
    if parsed.batch is None:
        text = sys.stdin.buffer.read().decode("utf-8", "replace") if parsed.text == "-" else parsed.text
        if not text.strip():
            raise BadInput("There is nothing to read in that.", "Paste an error message, a log or a question.")
    from ui.start import Oomph

    oomph = Oomph(_settings(), model=parsed.model)
    _prepare(oomph)
    if parsed.batch:
        from ui.batch import answer_all

        count = answer_all(oomph.asker, parsed.batch, parsed.out)
        print(f"{count} questions answered in {parsed.out}")
        return 0
    return _print_answer(oomph.asker, text, parsed.json)


def _prepare(oomph: "Oomph") -> None:
    """Index where needed, and say what is not as the person may think."""
    oomph.index_if_stale(_show_progress)
    for notice in oomph.notices:
        print(f"oomph: {notice}", file=sys.stderr)


def _print_answer(asker: "Asker", text: str, as_object: bool) -> int:
    from ui import render
    from ui.batch import answer_turns

    if as_object:
        print(json.dumps(render.as_json("1", answer_turns(asker, [text])), ensure_ascii=False))
        return 0
    question, answer = asker.ask([text])
    print(render.for_terminal(answer), flush=True)
    for fuller in asker.explain(question, answer, threading.Event()):
        answer = fuller
    if answer.explanation or answer.notice:
        print("\n" + render.explanation_text(answer))
    return 0


def _index(_: argparse.Namespace) -> int:
    from ui.start import Oomph

    report = Oomph(_settings()).index(_show_progress)
    manifest = report.manifest
    for failed in manifest.failed:
        print(failed, file=sys.stderr)
    print(
        f"{manifest.errors} errors, {manifest.terms} terms, {manifest.forks} forks in {manifest.passages} passages; "
        f"{report.embedded} embedded, the others kept."
    )
    if manifest.failed:
        print("Files with problems keep the entry they had before, if they had one.", file=sys.stderr)
    return 0


def _check(parsed: argparse.Namespace) -> int:
    from datetime import date

    from kb import stats
    from kb.check import check
    from kb.facts import read_facts
    from kb.read import read_knowledge

    if parsed.folder and not parsed.folder.is_dir():
        raise BadInput(f"{parsed.folder} is no folder.", "Name one that holds errors/, glossary/ or forks/.")
    folders = [parsed.folder] if parsed.folder else _settings().folders
    knowledge, facts = read_knowledge(*folders), read_facts(*folders)
    if not knowledge.entries and not knowledge.problems:
        raise BadInput(
            f"There is no entry in {parsed.folder}.", "Name a folder that holds errors/, glossary/ or forks/."
        )
    problems = [*check(knowledge, date.today()), *facts.problems]
    if parsed.stats:
        print("\n".join(stats.report(knowledge, facts)))
    for problem in problems:
        print(problem)
    counts = (
        f"{len(knowledge.errors)} errors, {len(knowledge.terms)} terms, {len(knowledge.forks)} forks, "
        f"{len(facts.gpus)} GPUs, {len(facts.models)} models"
    )
    print(f"{counts}: {len(problems)} problems" if problems else f"{counts}: no problems")
    return 1 if problems else 0


def _new(parsed: argparse.Namespace) -> int:
    from datetime import date

    from kb.skeleton import write_skeleton

    file = write_skeleton(parsed.kind, parsed.name, parsed.folder or _settings().library, date.today())
    print(f"{file}\nFill in each TBD, then run: oomph kb check")
    return 0


def _facts(parsed: argparse.Namespace) -> int:
    from kb.facts import read_facts

    facts = read_facts(*_settings().folders)
    found = facts.find(" ".join(parsed.words))
    if not found:
        raise BadInput(
            f"No card and no model is known by {' '.join(parsed.words)!r}.",
            "Try fewer words, such as: oomph kb facts 3060",
        )
    for fact in found:
        print(f"{fact.name}: {fact.summary}")
    if len(found) <= MANY_FACTS:
        print()
        for key in dict.fromkeys(key for fact in found for key in fact.sources):
            print(f"{facts.sources[key].title}: {facts.sources[key].url}")
    return 0


def _where(_: argparse.Namespace) -> int:
    print(_settings().home)
    return 0


def _settings(**given: str | None) -> "Settings":
    """Return the settings of the environment; what was `given` on the command line wins."""
    from ui.settings import from_environment

    return from_environment({**os.environ, **{name: value for name, value in given.items() if value}})


def _show_progress(what: str, done: int, of: int) -> None:
    """Show how far indexing is: a bar on a terminal, a line a stage elsewhere."""
    if sys.stderr.isatty():
        filled = 30 * done // of if of else 30
        end = "\n" if done >= of else ""
        print(
            f"\r\033[K{what:<20} {'█' * filled}{'░' * (30 - filled)} {done}/{of}", end=end, file=sys.stderr, flush=True
        )
    elif done in (0, of) or done % 512 == 0:
        print(f"oomph: {what}{f' {done}/{of}' if of > 1 else ''}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
