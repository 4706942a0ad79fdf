from device.wording import counted, one_of


def test_one_is_singular_and_everything_else_is_not():
    assert [counted(n, "channel") for n in (0, 1, 2)] == ["0 channels", "1 channel", "2 channels"]


def test_a_choice_reads_like_one():
    assert [one_of(list(names)) for names in ("a", "ab", "abc")] == ["a", "a or b", "a, b or c"]
