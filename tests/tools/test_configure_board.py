"""A board is recognised, configured, configured again to no effect, and put back byte for byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools import configure_board
from tools.configure_board import SOURCE, STATE, main, with_block

CONFIG = b"dtparam=audio=on\n\n[cm4]\notg_mode=1\n"
CATALOGUE = tomllib.loads((SOURCE / "boards/boards.toml").read_text())
BOARDS = {
    "pi3": "Raspberry Pi 3 Model B Plus Rev 1.3",
    "pi4": "Raspberry Pi 4 Model B Rev 1.5",
    "pi5": "Raspberry Pi 5 Model B Rev 1.0",
    "zero2": "Raspberry Pi Zero 2 W Rev 1.0",
    "nano": "NVIDIA Jetson Nano Developer Kit",
    "orin": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
}


def board(root: Path, model: str = BOARDS["pi5"], config: str = "boot/firmware/config.txt") -> Path:
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    if model.startswith("Raspberry"):
        (root / config).parent.mkdir(parents=True)
        (root / config).write_bytes(CONFIG)
        overlays = (root / config).parent / "overlays"
        overlays.mkdir()
        for name in ("seeed-2mic-voicecard", "seeed-4mic-voicecard", "seeed-8mic-voicecard"):
            (overlays / f"{name}.dtbo").touch()
    return root


def run(root: Path, *arguments: str) -> int:
    return main(["--root", str(root), *arguments])


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", BOARDS.values(), ids=BOARDS.keys())
def test_board_is_recognised(tmp_path, capsys, model):
    assert run(board(tmp_path, model), "show") == 0
    shown = capsys.readouterr().out
    assert model in shown
    assert "usb " in shown
    assert ("respeaker-4mic" in shown) == model.startswith("Raspberry")


@pytest.mark.parametrize("name", CATALOGUE["part"])
def test_every_part_is_applied_once_and_taken_back(tmp_path, capsys, name):
    root = board(tmp_path)
    before = files(root)
    assert run(root, "diff", name) == 0
    shown = capsys.readouterr().out
    assert files(root) == before, "a diff changes nothing"

    assert run(root, "apply", name) == 0
    applied = files(root)
    config = applied["boot/firmware/config.txt"].decode()
    assert config.startswith(CONFIG.decode())
    assert "gpio=17=ip,pu" in config
    assert config.index("[all]") > config.index("[cm4]"), "what is for all boards is not left to one model's section"
    for line in CATALOGUE["part"][name].get("config", ()):
        assert f"\n+{line}\n" in shown
        assert config.count(f"\n{line}\n") == 1

    capsys.readouterr()
    assert run(root, "apply", name) == 0
    assert capsys.readouterr().out.startswith("nothing to change")
    assert files(root) == applied
    assert run(root, "undo") == 0
    assert files(root) == before
    assert run(root, "undo") == 0


def test_another_part_replaces_the_one_before_and_undo_goes_back_to_the_beginning(tmp_path):
    root = board(tmp_path)
    before = files(root)
    assert run(root, "apply", "respeaker-4mic") == 0
    assert run(root, "apply", "usb", "buttons") == 0
    config = (root / "boot/firmware/config.txt").read_text()
    assert "seeed-4mic" not in config
    assert "gpio=26=op,dl" in config
    assert not (root / "etc/alsa/conf.d/60-dragoman.conf").exists()
    assert run(root, "undo") == 0
    assert files(root) == before


def test_old_places_of_the_configuration_are_found(tmp_path):
    root = board(tmp_path, BOARDS["pi3"], "boot/config.txt")
    assert run(root, "apply", "i2s-mics") == 0
    assert "googlevoicehat" in (root / "boot/config.txt").read_text()


def test_what_somebody_changed_since_is_kept(tmp_path, capsys):
    root = board(tmp_path)
    assert run(root, "apply", "respeaker-2mic") == 0
    config, alsa = root / "boot/firmware/config.txt", root / "etc/alsa/conf.d/60-dragoman.conf"
    config.write_bytes(config.read_bytes() + b"arm_boost=1\n")
    alsa.write_text("mine\n")
    assert run(root, "undo") == 0
    assert config.read_bytes() == CONFIG + b"arm_boost=1\n"
    assert alsa.read_text() == "mine\n"
    assert "left as it is" in capsys.readouterr().out
    assert not (root / STATE).exists()


def test_a_power_cut_in_the_middle_is_taken_back_too(tmp_path, monkeypatch):
    root = board(tmp_path)
    before = files(root)
    cut = iter([False, True])

    def put(path, data):
        if next(cut):
            raise KeyboardInterrupt
        configure_board.write(path, data)

    monkeypatch.setattr(configure_board, "put", put)
    with pytest.raises(KeyboardInterrupt):
        run(root, "apply", "i2s-mics")
    monkeypatch.undo()
    assert run(root, "undo") == 0
    assert files(root) == before


@pytest.mark.parametrize(
    ("model", "arguments", "complaint"),
    [
        ("Raspberry Pi 5", ("apply", "kinect"), "unknown part 'kinect'; known are usb"),
        ("Raspberry Pi 5", ("apply", "buttons", "i2s-mics"), "use the same pins"),
        ("Raspberry Pi 5", ("apply", "googlevoicehat", "max98357"), "one sound card"),
        (BOARDS["orin"], ("apply", "i2s-mics"), "is not for a NVIDIA Jetson Orin"),
        ("Acme Toaster", ("show",), "'Acme Toaster' is not known"),
    ],
)
def test_mistakes_are_one_clear_line_and_change_nothing(tmp_path, capsys, model, arguments, complaint):
    root = board(tmp_path, model)
    before = files(root)
    assert run(root, *arguments) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert files(root) == before


def test_a_missing_driver_is_told_before_anything_is_changed(tmp_path, capsys):
    root = board(tmp_path)
    (root / "boot/firmware/overlays/seeed-4mic-voicecard.dtbo").unlink()
    assert run(root, "apply", "respeaker-4mic") == 1
    assert "needs the overlay /boot/firmware/overlays/seeed-4mic-voicecard.dtbo: the driver" in capsys.readouterr().err


def test_a_block_without_its_end_is_left_alone_for_what_follows_may_be_somebody_elses(tmp_path, capsys):
    root = board(tmp_path)
    assert run(root, "apply", "usb") == 0
    config = root / "boot/firmware/config.txt"
    config.write_bytes(config.read_bytes().replace(configure_board.END.encode(), b"") + b"mine=1\n")
    before = files(root)
    capsys.readouterr()
    for command in (["apply", "googlevoicehat"], ["undo"]):
        assert run(root, *command) == 1
        assert "has lost the line '# <<< dragoman'" in capsys.readouterr().err
    assert files(root)[str(config.relative_to(root))] == before[str(config.relative_to(root))]


def test_what_is_damaged_is_one_clear_line(tmp_path, capsys):
    root = board(tmp_path)
    (root / STATE).mkdir(parents=True)
    (root / STATE / "index.json").write_text("{half")
    assert run(root, "undo") == 1
    assert capsys.readouterr().err == f"configure-board: /{STATE}/index.json is damaged; the originals lie beside it\n"
    (root / "proc/device-tree/model").write_bytes(b"Raspberry \xff")
    assert run(root, "show") == 1
    assert "is not known; known are" in capsys.readouterr().err


def test_a_file_without_a_newline_at_its_end_is_shown_as_it_is(tmp_path, capsys):
    root = board(tmp_path)
    (root / "boot/firmware/config.txt").write_bytes(b"enable_uart=1")
    assert run(root, "diff", "usb") == 0
    assert "-enable_uart=1\n\\ No newline at end of file\n+enable_uart=1\n" in capsys.readouterr().out


def test_a_machine_without_a_device_tree_needs_nothing(tmp_path, capsys):
    assert run(tmp_path, "show") == 1
    assert "a PC needs none of this" in capsys.readouterr().err


def test_it_runs_without_anything_installed(tmp_path):
    script = Path(configure_board.__file__).with_name("configure-board")
    done = subprocess.run(
        [script, f"--root={board(tmp_path)}", "show"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout.startswith("Raspberry Pi 5"), done.stderr


@example(b"\r", ["0"])
@given(st.binary().filter(lambda b: b"dragoman" not in b), st.lists(st.from_regex(r"[a-z=0-9]{1,20}", fullmatch=True)))
def test_the_block_goes_in_once_and_out_again_from_any_file(text, lines):
    once = with_block(text, lines)
    assert with_block(once, lines) == once
    without = with_block(once, [])
    assert without in (text, text + b"\n", text + b"\r\n")


@pytest.mark.skipif(shutil.which("aplay") is None, reason="alsa-utils is not installed")
@pytest.mark.parametrize("file", sorted((SOURCE / "alsa").glob("*.conf")), ids=lambda path: path.stem)
def test_alsa_understands_its_files(file):
    listed = subprocess.run(
        ["aplay", "-L"],
        capture_output=True,
        text=True,
        env=os.environ | {"ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{file}"},
    )
    defined = set(re.findall(r"^pcm\.(\w+)", file.read_text(), re.MULTILINE))
    assert defined
    assert "error" not in listed.stderr.lower(), listed.stderr
    if "dragoman_out" in defined:
        assert "dragoman_out" in listed.stdout.split()


def test_udev_rules_name_each_array_once():
    rules = (SOURCE / "udev/85-dragoman-audio.rules").read_text()
    named = re.findall(
        r'^ATTRS\{idVendor\}=="([0-9a-f]{4})", ATTRS\{idProduct\}=="([0-9a-f]{4})", ATTR\{id\}="(\w+)"$',
        rules,
        re.MULTILINE,
    )
    assert len(named) == len(set(named)) >= 4
    assert all(len(name) <= 15 for *_, name in named), "ALSA cuts longer names"


def test_files_that_the_parts_name_exist():
    for part in CATALOGUE["part"].values():
        if "alsa" in part:
            assert (SOURCE / "alsa" / part["alsa"]).is_file()
        for setting in part.get("settings", ()):
            for path in re.findall(r"firmware_config/\S+\.toml", setting):
                assert (SOURCE.parent / path).is_file()
