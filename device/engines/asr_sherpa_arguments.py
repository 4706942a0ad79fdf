"""Turns a catalogue entry's options into the arguments of a sherpa-onnx constructor, checked beforehand.

sherpa-onnx ends the process when a path, a token table or a decoding method is wrong, so nothing reaches it
unchecked. The options of a catalogue entry look like this::

    [options]
    type = "transducer"            # OfflineRecognizer.from_transducer, or OnlineRecognizer's
    decoding_method = "modified_beam_search"

    [options.files]                # constructor argument = file name in the model's folder
    encoder = "encoder.int8.onnx"
    tokens = "tokens.txt"
"""

from __future__ import annotations

import base64
import binascii
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from device.engines.modelfile import require_file
from device.errors import DragomanError
from device.modelstore.catalogue import Model

_FACTORY = "from_"
_OWN = ("num_threads", "provider", "debug", "device", "enable_endpoint_detection")
"""Arguments that are the adapter's business, not the catalogue's."""
_FILES = (
    "hotwords_file",
    "bpe_vocab",
    "lm",
    "lodr_fst",
    "ctc_graph",
    "rule_fsts",
    "rule_fars",
    "hr_rule_fsts",
    "hr_lexicon",
)
"""Optional arguments that name a file; those without a default always do."""
_FOLDERS = ("tokenizer", "hr_dict_dir")
_BEAM_SEARCH = "transducer"
_BASE64_TOKENS = ("moonshine_v2",)


def constructor_types(recognizer: type) -> list[str]:
    """Names that ``type`` may have: what follows ``from_`` in the recogniser's constructors."""
    return sorted(name.removeprefix(_FACTORY) for name in dir(recognizer) if name.startswith(_FACTORY))


def constructor(model: Model, folder: Path, recognizer: type) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the constructor that ``model`` asks for and its arguments, every one of them checked.

    Raises
    ------
    DragomanError
        The type or an option is unknown, an option has the wrong kind of value, a file that the type needs is
        not named or not there, or the token table is malformed.
    """
    options = dict(model.options)
    kind = options.pop("type", None)
    types = constructor_types(recognizer)
    if kind not in types:
        hint = _nearest(str(kind), types)
        raise DragomanError(f"model {model.id}: engine {model.engine} has no type {kind!r}; {hint}")
    factory = getattr(recognizer, _FACTORY + kind)
    parameters = {name: item for name, item in inspect.signature(factory).parameters.items() if name not in _OWN}
    files = options.pop("files", {})
    if not isinstance(files, Mapping):
        raise DragomanError(f"model {model.id}: [options.files] must be a table of argument = file name")
    arguments = _file_arguments(model, folder, kind, parameters, files)
    for name, value in options.items():
        arguments[name] = _plain_argument(model, kind, parameters, name, value)
    if "tokens" in arguments:
        check_tokens(model, Path(arguments["tokens"]), encoded=kind in _BASE64_TOKENS)
    return factory, arguments


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _is_path(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty or parameter.name in (*_FILES, *_FOLDERS)


def _file_arguments(
    model: Model,
    folder: Path,
    kind: str,
    parameters: Mapping[str, inspect.Parameter],
    files: Mapping[str, Any],
) -> dict[str, Any]:
    paths = {name for name, item in parameters.items() if _is_path(item)}
    arguments: dict[str, Any] = {}
    for argument, name in files.items():
        if argument not in paths:
            hint = _nearest(argument, sorted(paths))
            raise DragomanError(f"model {model.id}: type {kind} takes no file {argument!r}; {hint}")
        if not isinstance(name, str) or not name:
            raise DragomanError(f"model {model.id}: options.files.{argument} must name a file, not {name!r}")
        if argument in _FOLDERS and (folder / name).is_dir():
            arguments[argument] = str(folder / name)
        else:
            # Rewriting grammars may be several, separated by commas.
            arguments[argument] = ",".join(str(require_file(model, folder, part)) for part in name.split(","))
    needed = {name for name, item in parameters.items() if item.default is inspect.Parameter.empty}
    if missing := sorted(needed - arguments.keys()):
        raise DragomanError(f"model {model.id}: type {kind} needs options.files.{missing[0]}")
    return arguments


def _plain_argument(
    model: Model, kind: str, parameters: Mapping[str, inspect.Parameter], name: str, value: object
) -> object:
    plain = {key: item for key, item in parameters.items() if not _is_path(item)}
    if name not in plain:
        hint = _nearest(name, sorted(plain))
        raise DragomanError(f"model {model.id}: type {kind} has no option {name!r}; {hint}")
    wanted = type(plain[name].default)
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise DragomanError(f"model {model.id}: option {name!r} must be a {wanted.__name__}, not {value!r}")
    if name == "decoding_method":
        allowed = ["greedy_search", "modified_beam_search"] if kind == _BEAM_SEARCH else ["greedy_search"]
        if value not in allowed:
            methods = " or ".join(allowed)
            raise DragomanError(f"model {model.id}: type {kind} decodes by {methods}, not {value!r}")
    return value


def check_tokens(model: Model, path: Path, *, encoded: bool) -> None:
    """Check a token table: a line ``symbol id`` a token, the symbol in base64 where ``encoded``.

    Raises
    ------
    DragomanError
        The first line that is malformed or repeats an id.
    """
    seen: set[int] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            symbol, _, last = line.rstrip().rpartition(b" ")
            if not last:
                continue
            try:
                token = int(last)
                if encoded:
                    base64.b64decode(symbol, validate=True)  # an empty token is allowed
            except (ValueError, binascii.Error):
                token = -1
            if token < 0 or token in seen:
                raise DragomanError(
                    f"model {model.id}: line {number} of {path} is not `symbol id`; "
                    "run `dragoman models verify`, or pull the model again"
                )
            seen.add(token)
    if not seen:
        raise DragomanError(f"model {model.id}: {path} holds no tokens")
