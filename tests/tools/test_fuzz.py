"""The hundred thousand inputs: what counts as a finding, and a short run against the real server."""

import pytest
from hypothesis import strategies as st

from tools import fuzz
from tools.fuzz import Findings, State


def sent(send, count=5):
    findings = Findings()
    fuzz.send_round(1, count, st.integers(), send, findings)
    return findings


def raising(error):
    def send(_item):
        raise error

    return send


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (fuzz.Hang("no answer"), "hanging"),
        (AssertionError("closed with 1011 the server failed"), "errors_500"),
        (AssertionError("/x: 500 oh"), "errors_500"),
        (AssertionError("a status that is not described: 418"), "untrue"),
        (ConnectionResetError(), "crashes"),
    ],
)
def test_every_way_to_fail_is_counted_and_noted_with_its_input(error, what):
    findings = sent(raising(error))
    assert findings.inputs == getattr(findings, what) == findings.failed > 0
    assert "<-" in findings.failures[0]


def test_what_the_server_keeps_is_a_finding():
    kept = [State(0, 500, 13), State(10, 510, 13), State(20, 600, 13), State(30, 700, 40)]
    told = " ".join(fuzz.judge({"a": Findings(5)}, kept, ["Traceback"]))
    assert "memory grew from 510 to 700 MB" in told
    assert "open files grew from 13 to 40" in told
    assert "faults" in told
    assert not fuzz.judge({"a": Findings(5)}, kept[:2] * 2, [])


@pytest.mark.e2e
@pytest.mark.models
@pytest.mark.timeout(240)
def test_two_of_each_kind_find_nothing_in_the_real_server(model_dir, capsys):
    for model in ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "tts-piper-pt-faber"):
        model_dir(model)
    found = {}
    with fuzz.serving() as target:
        before = State(0, target.memory_mb, target.files)
        for name, (_, strategy, send) in fuzz.kinds(target).items():
            found[name] = Findings()
            fuzz.send_round(1, 2, strategy, send, found[name])
        assert not target.faults
    assert not fuzz.judge(found, [before], []), [f.failures for f in found.values() if f.failed]
    fuzz.show(found, [before])
    assert "memory of the server" in capsys.readouterr().out
