"""Every key of a TOML document is found on its line."""

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from device.config.places import key_lines
from device.config.render import _key, _value


def test_all_ways_to_write_a_key():
    text = '''\
# a comment = 1
a = 1 # b = 2
"quoted.key" = "]#["
sub.dotted = """
fake = 1
"""
array = [ # not = this
  "x",
  { in = 1, line = [2] },
]
[table]
c = \'\'\'
[fake]\'\'\'
d = 1979-05-27T07:32:00Z
[[list]]
e = 1
[[list]]
[list.inner]
f = """a\\"""b"""
[[list.deep]]
g = 'C:\\'
h = 1
'''
    tomllib.loads(text)
    lines = key_lines(text)
    expected = {
        ("a",): 2,
        ("quoted.key",): 3,
        ("sub", "dotted"): 4,
        ("array",): 7,
        ("array", 0): 8,
        ("array", 1): 9,
        ("array", 1, "in"): 9,
        ("array", 1, "line", 0): 9,
        ("table",): 11,
        ("table", "c"): 12,
        ("table", "d"): 14,
        ("list", 0): 15,
        ("list", 0, "e"): 16,
        ("list", 1): 17,
        ("list", 1, "inner", "f"): 19,
        ("list", 1, "deep", 0): 20,
        ("list", 1, "deep", 0, "g"): 21,
        ("list", 1, "deep", 0, "h"): 22,
    }
    assert {path: lines[path] for path in expected} == expected
    assert key_lines(text.replace("\n", "\r\n")) == lines


KEYS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
SCALARS = st.one_of(
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3), max_size=4), max_size=4))
def test_every_key_of_any_document_is_found(document):
    expected, lines = {}, []
    for name, table in document.items():
        lines.append(f"[{_key(name)}]")
        expected[(name,)] = len(lines)
        for key, value in table.items():
            lines += ["", f"{_key(key)} = {_value(value)} # c"]
            expected[(name, key)] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == document
    found = key_lines(text)
    assert {path: found[path] for path in expected} == expected
    assert all(len(path) == 3 for path in found.keys() - expected.keys())
