"""The benchmark of the server looks for the largest number that is held, and tells what it found."""

import pytest

from tools.bench_server import PRECISION, Round, search, summary


def measured(number, most, *, lost=0):
    """Return the round of a server that holds ``most`` conversations."""
    return Round(
        conversations=number, p50_final_s=0.7, p95_final_s=1.0 if number <= most else 9.0, finals=10 * number - lost,
        expected=10 * number, partials=0, server_mb=200.0 + 4 * number, server_cores=1.0, client_cores=0.1,
        other_cores=0.0, server_seconds_per_second=0.012, client_seconds_per_second=0.0005,
    )  # fmt: skip


@pytest.mark.parametrize("most", [1, 20, 77, 133, 140, 260])
def test_the_largest_number_that_is_held_is_found(most):
    limit = 140.0
    rounds = search(lambda number: measured(number, most), limit)
    held = max((each.conversations for each in rounds if each.held), default=1)
    highest = min((each.conversations for each in rounds if not each.held), default=None)
    assert held <= most
    assert highest is None or highest - held <= max(1, PRECISION * limit)
    assert highest is not None or held == round(1.5 * limit)


def test_a_number_is_not_held_when_a_final_is_missing():
    assert measured(5, 9).held
    assert not measured(5, 9, lost=1).held


def test_what_is_written_is_what_was_measured():
    rounds = [measured(number, 125) for number in (1, 70, 126)]
    told = summary(rounds, limit=140.0, rtf=0.0142)
    assert (told["conversations"], told["share_of_engine_limit"], told["p95_final_s"]) == (70, 0.5, 1.0)
    assert told["mb_per_conversation"] == 4.0
    assert told["share_by_processor_time"] == round(0.0142 / 0.0125, 3)


def test_nothing_is_claimed_when_nothing_is_held():
    told = summary([measured(1, 0)], limit=140.0, rtf=0.0142)
    assert (told["conversations"], told["share_of_engine_limit"]) == (0, 0.0)
