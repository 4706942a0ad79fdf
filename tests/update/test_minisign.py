"""Signatures: minisign's own are accepted, and nothing else is."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.update.minisign import SignatureError, read_keys, verify
from tests.update.support import Signer

DATA = b"a release\n" * 100


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
@pytest.mark.parametrize("how", [(), ("-l",)], ids=["hashed", "legacy"])
def test_signatures_of_minisign_itself_are_accepted(tmp_path, how):
    public, secret, file = tmp_path / "key.pub", tmp_path / "key", tmp_path / "manifest.json"
    file.write_bytes(DATA)
    subprocess.run(["minisign", "-G", "-W", "-p", public, "-s", secret], check=True, capture_output=True)
    signing = ["minisign", "-S", *how, "-s", secret, "-m", file, "-t", "made today"]
    subprocess.run(signing, check=True, capture_output=True)
    signature = (tmp_path / "manifest.json.minisig").read_text()
    assert verify(DATA, signature, read_keys(public)) == "made today"
    with pytest.raises(SignatureError, match="wrong"):
        verify(DATA + b" ", signature, read_keys(public))


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_minisign_itself_accepts_the_signatures_of_these_tests(tmp_path):
    signer = Signer(tmp_path)
    (tmp_path / "file").write_bytes(DATA)
    (tmp_path / "file.minisig").write_bytes(signer.sign(DATA))
    checking = ["minisign", "-V", "-p", signer.public, "-m", tmp_path / "file"]
    assert subprocess.run(checking, capture_output=True).returncode == 0


def test_another_key_is_named(tmp_path):
    own, other = Signer(tmp_path, "own"), Signer(tmp_path, "other")
    with pytest.raises(SignatureError, match="none of yours"):
        verify(DATA, other.sign(DATA).decode(), read_keys(own.public))


def test_while_a_key_is_replaced_both_are_good(tmp_path):
    old, new = Signer(tmp_path, "old"), Signer(tmp_path, "new")
    both = tmp_path / "both.pub"
    both.write_text(old.public.read_text() + new.public.read_text())
    for signer in (old, new):
        assert verify(DATA, signer.sign(DATA, "mine").decode(), read_keys(both)) == "mine"


def test_a_comment_cannot_be_exchanged(tmp_path):
    signer = Signer(tmp_path)
    forged = signer.sign(DATA, "version 1").decode().replace("version 1", "version 2")
    with pytest.raises(SignatureError):
        verify(DATA, forged, read_keys(signer.public))


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    signer = Signer(tmp_path_factory.mktemp("keys"))
    return signer.sign(DATA), read_keys(signer.public)


@given(st.data())
def test_no_changed_byte_of_a_signature_goes_unnoticed(signed, data):
    signature, keys = signed
    begin = signature.index(b"\n") + 1  # the first line is trusted by nobody, and changes nothing
    changed = bytearray(signature)
    at = data.draw(st.integers(begin, len(signature) - 2))
    changed[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != signature[at]))
    try:
        verify(DATA, bytes(changed).decode("utf-8", errors="replace"), keys)
    except SignatureError:
        return
    # What is left are other ways to write the same bits: base64's last digit has some to spare.
    assert at in {signature.index(b"\n", begin) - 3, len(signature) - 4} or changed.split() == signature.split()


@given(st.text(max_size=300))
def test_whatever_a_signature_is_it_is_refused_in_one_line(signed, text):
    with pytest.raises(SignatureError):
        verify(DATA, text, signed[1])


@given(st.binary(max_size=200))
def test_whatever_a_key_file_holds_it_is_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "strange.pub"
    path.write_bytes(content)
    with pytest.raises(SignatureError):
        read_keys(path)
