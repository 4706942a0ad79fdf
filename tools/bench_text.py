"""``make bench-text``: what the text room gains, what it costs, and what it must not touch.

Prints tables and writes ``build/bench-text.json``. Scores of translation are sacrebleu's on the development corpus,
beside what published systems made of it; everything else is asked from ``tools/bench_text_sets.toml`` and from the
real recordings.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from device.config import Settings
from device.engines.registry import Engines
from device.errors import DragomanError
from device.modelstore.store import open_store
from tools import bench_text_engines as real
from tools import bench_text_rules as rules
from tools.bleu import find_corpus

OUTPUT = Path("build/bench-text.json")
SETS = Path(__file__).with_name("bench_text_sets.toml")
TARGETS = {"erasure": 0.2, "false_corrections": 0, "en-es BLEU": 19.0}


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-text", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundred sentences and two recordings")
    parser.add_argument("--sentences", type=int, help="only so many sentences of the corpus")
    parser.add_argument("--corpus", type=Path, help="folder of parallel text, a file a language [beside the checkout]")
    parser.add_argument("--only", action="append", metavar="PART", help="measure this part, and keep what is written")
    parser.add_argument("--note", help="what is to be known about the circumstances; the README shows it")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    console = Console(highlight=False, width=110)
    limit = 100 if options.quick else options.sentences
    sets = tomllib.loads(SETS.read_text(encoding="utf-8"))
    corpus = options.corpus or find_corpus(Path.cwd())
    began = time.monotonic()
    result: dict[str, Any] = {}
    if options.only and options.output.is_file():
        result = json.loads(options.output.read_text(encoding="utf-8"))
    quick = options.quick
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "fluency": lambda: rules.measure_fluency(sets["fluency"], corpus, limit),
        "fluency_annotated": lambda: rules.measure_annotated(sets["annotated"]),
        "numbers": lambda: rules.measure_numbers(sets["numbers"]),
        "profanity": lambda: rules.measure_profanity(sets["profanity"], corpus, limit),
        "phrases": lambda: rules.measure_phrases(sets["phrases"], corpus, limit),
        "names": lambda: rules.measure_names(sets["names"]),
        "redaction_false_hits": lambda: rules.measure_redaction(corpus, limit),
        "identification": lambda: rules.measure_identification(corpus, limit),
    }
    try:
        with Engines.open(Settings()) as engines:
            recordings = open_store(Settings()).path("recordings")
            measures |= {
                "writing": lambda: rules.measure_writing(recordings, corpus),
                "listening": lambda: real.measure_listening(
                    engines, sets["phrases"]["spoken"], recordings, quick=quick
                ),
                "partials": lambda: real.measure_partials(engines, recordings, 2 if quick else 8),
                "captions": lambda: real.measure_captions(engines, recordings, 3 if quick else 8),
                "translation": lambda: real.measure_translation(engines, corpus, limit) if corpus else {},
                "milliseconds": lambda: real.measure_speed(engines),
            }
            wanted = options.only or list(measures)
            if unknown := set(wanted) - set(measures):
                parser.error(f"there is no part {', '.join(sorted(unknown))}; known: {', '.join(measures)}")
            for name in wanted:
                result[name] = measures[name]()
                console.print(_table(name, result[name]))
    except DragomanError as error:
        console.print(f"bench-text: {error}")
        return 1
    result["targets"] = TARGETS
    if options.note:
        result["note"] = options.note
    result["seconds"] = round(time.monotonic() - began, 1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"[dim]written to {options.output} after {result['seconds']:.0f} s[/dim]")
    return 0


def _table(name: str, rows: dict[str, Any]) -> Table:
    table = Table(title=name, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows.values() if isinstance(row, dict) for key in row))
    table.add_column("")
    for column in columns:
        table.add_column(column)
    for key, row in rows.items():
        table.add_row(key, *(str(row.get(column, "")) for column in columns))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
