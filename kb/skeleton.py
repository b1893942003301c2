"""A new entry to fill in. It passes the reader; `oomph kb check` names each TBD that is left in it."""

import json
import re
from datetime import date
from pathlib import Path
from string import Template

from kb.failures import BadInput

FOLDERS = {"error": "errors", "glossary": "glossary"}

_ERROR = Template("""\
---
id: $id
title: $title
summary: TBD what is wrong, in one line.
aliases: []        # how people say it, flags, field names, misspellings
signatures: []     # messages as programs print them: "CUDA out of memory. Tried to allocate {size}"
clues: []
phases: [load]     # install build download start load prompt generate train
tools: []
related: []
terms: []
sources:
  docs: {title: "TBD title of the page that you opened", url: "https://example.org/", read: $today}
verified: $today
---
TBD what happened, and why.[^docs]

## Causes, most likely first

### TBD a cause, in the words of the person who has it
**Tell:** TBD the command, and what it shows when this is the cause.[^docs]
**Fix:**
1. TBD the step that mends it most often.[^docs]

## Does not help
- TBD what people try in vain, and why.[^docs]

## Check
TBD how to see that it works now.[^docs]
""")

_TERM = Template("""\
---
id: $id
term: $title
aliases: []
definition: TBD what it is, in one line.[^docs]
category: Inference      # the categories are listed in docs/writing-entries.md
level: beginner          # beginner intermediate advanced
related: []
errors: []
confused_with: []
sources:
  docs: {title: "TBD title of the page that you opened", url: "https://example.org/", read: $today}
verified: $today
---
## Explanation
TBD what it is and how it works, for somebody who runs models.[^docs]

## Example
TBD with numbers that were computed.[^docs]

## Where you meet it
TBD in which tool, under which name, flag, column or message.[^docs]

## Questions
### TBD a question that people ask?
TBD the answer.[^docs]
""")


def write_skeleton(kind: str, name: str, folder: Path, today: date) -> Path:
    """Write a new entry called `name` below `folder`; return its file.

    :param kind: a key of FOLDERS.
    :raises BadInput: where the name has no letter or digit, or the entry exists.
    """
    identity = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not identity:
        raise BadInput(f"{name!r} has no letter or digit.", "Name the entry, for example: cuda-out-of-memory")
    file = folder / FOLDERS[kind] / f"{identity}.md"
    title = " ".join(name.split()) if " " in name.strip() else identity.replace("-", " ").capitalize()
    template = _ERROR if kind == "error" else _TERM
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(template.substitute(id=identity, title=json.dumps(title, ensure_ascii=False), today=today))
    except FileExistsError as fault:
        raise BadInput(f"{file} exists.", "Edit it, or take another name.") from fault
    return file
