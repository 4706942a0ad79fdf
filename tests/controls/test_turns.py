"""Whose turn it is to talk, driven by (event, time): nothing here waits."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import ButtonSettings, ControlSettings, Trigger
from device.controls.turns import TRANSITIONS, Alert, ButtonUsed, TurnBegan, TurnEnded, Turns, TurnState

TWO = (ButtonSettings(name="a", pin=1), ButtonSettings(name="b", pin=2, direction=1))


def turns(mode="hold", *, buttons=TWO, **settings):
    return Turns(ControlSettings(trigger=mode, buttons=buttons, **settings))


def story(machine):
    """Tell what came of it, short: ``1.0 begin 0``."""
    told = []
    for outcome in machine.take():
        match outcome:
            case TurnBegan(time, direction):
                told.append(f"{time:g} begin {direction}")
            case TurnEnded(time, cut):
                told.append(f"{time:g} {'cut' if cut else 'end'}")
            case ButtonUsed(time, name, action):
                told.append(f"{time:g} {name} {action}")
            case Alert(time, alert, text):
                told.append(f"{time:g} {alert} {'raised' if text else 'over'}")
    return told


def of_turns(machine):
    return [line for line in story(machine) if line.split()[1] in ("begin", "end", "cut")]


def test_hold_to_talk():
    machine = turns()
    machine.edge("a", True, 1.0)
    machine.edge("a", False, 1.5)
    assert story(machine) == ["1 a press", "1 begin 0", "1.5 a release", "1.5 end"]


def test_toggle_begins_with_one_press_and_ends_with_the_next():
    machine = turns("toggle")
    for time in (1, 3):
        machine.edge("b", True, time)
        machine.edge("b", False, time + 0.2)
    assert of_turns(machine) == ["1 begin 1", "3 end"]


def test_open_microphone_has_no_turns_but_buttons_are_reported():
    machine = turns("open")
    machine.edge("a", True, 1)
    machine.edge("a", False, 1.2)
    assert not machine.begin(0, 2)
    assert story(machine) == ["1 a press", "1.2 a release"]


def test_press_while_another_holds_waits_for_its_turn():
    machine = turns()
    machine.edge("a", True, 1)
    machine.edge("b", True, 2)
    assert machine.direction == 0
    machine.edge("a", False, 3)
    machine.edge("b", False, 4)
    assert of_turns(machine) == ["1 begin 0", "3 end", "3 begin 1", "4 end"]


def test_press_while_another_holds_that_is_over_before_begins_nothing():
    machine = turns()
    machine.edge("a", True, 1)
    machine.edge("b", True, 2)
    machine.edge("b", False, 2.5)
    machine.edge("a", False, 3)
    assert of_turns(machine) == ["1 begin 0", "3 end"]


def test_a_waiting_button_has_its_whole_turn():
    machine = turns(longest_turn=10)
    machine.edge("a", True, 0)
    machine.edge("b", True, 1)
    machine.edge("a", False, 9)
    machine.advance(100)
    assert of_turns(machine) == ["0 begin 0", "9 end", "9 begin 1", "19 cut"]


def test_toggle_hands_over_to_the_other_direction_at_once():
    machine = turns("toggle")
    machine.edge("a", True, 1)
    machine.edge("a", False, 1.1)
    machine.edge("b", True, 2)
    assert of_turns(machine) == ["1 begin 0", "2 end", "2 begin 1"]


def test_bounce_is_one_press_and_one_release():
    machine = turns(debounce=0.03)
    for level, time in ((True, 0), (False, 0.001), (True, 0.002), (False, 0.004), (True, 0.005)):
        machine.edge("a", level, 1 + time)
    for level, time in ((False, 0), (True, 0.001), (False, 0.003), (True, 0.010), (False, 0.012)):
        machine.edge("a", level, 1.5 + time)
    machine.advance(3)
    assert story(machine) == ["1 a press", "1 begin 0", "1.5 a release", "1.5 end"]


def test_release_within_the_bounce_is_not_lost():
    machine = turns(debounce=0.03)
    machine.edge("a", True, 1)
    machine.edge("a", False, 1.01)
    assert machine.deadline() == 1.03
    machine.advance(1.03)
    assert story(machine) == ["1 a press", "1 begin 0", "1.03 a release", "1.03 end"]


def test_hold_and_double_press_are_reported():
    machine = turns("open", hold_time=1, double_press=0.4)
    machine.edge("a", True, 0)
    machine.edge("a", False, 1.5)
    for time in (3, 3.3, 3.6):
        machine.edge("a", True, time)
        machine.edge("a", False, time + 0.1)
    assert story(machine) == [
        "0 a press",
        "1 a hold",
        "1.5 a release",
        "3 a press",
        "3.1 a release",
        "3.3 a press",
        "3.3 a double",
        "3.4 a release",
        "3.6 a press",
        "3.7 a release",
    ]


def test_stuck_button_is_cut_and_reported_and_must_be_released():
    machine = turns(longest_turn=60)
    machine.edge("a", True, 0)
    machine.advance(1000)
    assert story(machine) == ["0 a press", "0 begin 0", "1 a hold", "60 cut", "60 button-stuck-a raised"]
    machine.edge("a", False, 1001)
    machine.edge("a", True, 1002)
    assert story(machine) == ["1001 a release", "1001 button-stuck-a over", "1002 a press", "1002 begin 0"]


def test_stuck_button_does_not_stop_the_other():
    machine = turns(longest_turn=60)
    machine.edge("a", True, 0)
    machine.edge("b", True, 100)
    machine.edge("b", False, 101)
    assert of_turns(machine) == ["0 begin 0", "60 cut", "100 begin 1", "101 end"]


def test_button_stuck_in_toggle_mode_is_reported_too():
    machine = turns("toggle", longest_turn=60)
    machine.edge("a", True, 0)
    machine.advance(61)
    assert story(machine)[-2:] == ["60 cut", "60 button-stuck-a raised"]


def test_latched_turn_is_cut_at_the_longest_and_no_button_is_to_blame():
    machine = turns("toggle", longest_turn=60)
    machine.edge("a", True, 0)
    machine.edge("a", False, 0.2)
    machine.advance(1000)
    assert story(machine)[-1] == "60 cut"


def test_button_that_is_down_at_the_start_begins_nothing_until_released():
    machine = turns(longest_turn=60)
    machine.found_down("a", 0)
    machine.edge("a", True, 1)
    machine.advance(61)
    machine.edge("a", False, 62)
    machine.edge("a", True, 63)
    assert story(machine) == [
        "60 button-stuck-a raised",
        "62 a release",
        "62 button-stuck-a over",
        "63 a press",
        "63 begin 0",
    ]


def test_commands_begin_and_end_turns_in_every_mode_with_turns():
    for mode in ("hold", "toggle"):
        machine = turns(mode)
        assert machine.begin(1, 1)
        assert machine.begin(1, 2)
        assert machine.begin(0, 3)
        assert machine.end(4)
        assert not machine.end(5)
        assert of_turns(machine) == ["1 begin 1", "3 end", "3 begin 0", "4 end"]


def test_held_button_goes_before_commands_for_the_other_direction():
    machine = turns()
    machine.edge("a", True, 1)
    assert machine.begin(0, 2)
    assert not machine.begin(1, 2)
    machine.edge("a", False, 3)
    assert of_turns(machine) == ["1 begin 0", "3 end"]


def test_pressing_takes_over_a_turn_begun_by_a_command():
    machine = turns()
    machine.begin(1, 1)
    machine.edge("a", True, 2)
    machine.edge("a", False, 3)
    assert of_turns(machine) == ["1 begin 1", "2 end", "2 begin 0", "3 end"]


def test_stop_ends_a_held_turn_and_those_that_wait_until_they_press_again():
    machine = turns()
    machine.edge("a", True, 1)
    machine.edge("b", True, 2)
    machine.end(3)
    machine.edge("a", False, 4)
    machine.edge("b", False, 5)
    machine.edge("b", True, 6)
    assert of_turns(machine) == ["1 begin 0", "3 end", "6 begin 1"]


def test_change_of_mode_ends_the_turn():
    machine = turns()
    machine.edge("a", True, 1)
    machine.set_mode(Trigger.HOLD, 1.5)
    machine.set_mode(Trigger.TOGGLE, 2)
    machine.edge("a", False, 3)
    machine.edge("a", True, 4)
    machine.edge("a", False, 5)
    assert of_turns(machine) == ["1 begin 0", "2 end", "4 begin 0"]
    machine.set_mode(Trigger.OPEN, 6)
    assert of_turns(machine) == ["6 end"]


def test_two_hundred_presses_in_a_second_leave_no_turn_open():
    for mode in ("hold", "toggle", "open"):
        for debounce in (0, 0.03):
            machine = turns(mode, debounce=debounce)
            for press in range(200):
                machine.edge("a", True, press * 0.005)
                machine.edge("a", False, press * 0.005 + 0.0025)
            machine.advance(1.1)
            if machine.state is not TurnState.IDLE:  # an odd number of presses counted in toggle mode
                assert mode == "toggle"
                machine.edge("a", True, 2)
            assert machine.state is TurnState.IDLE
            assert machine.deadline() is None or mode == "toggle"


def test_every_listed_transition_changes_something():
    assert all(
        before is not TurnState.IDLE or after is not TurnState.IDLE for (before, _), after in TRANSITIONS.items()
    )


EVENTS = st.lists(
    st.tuples(
        st.floats(0, 8, allow_nan=False),
        st.one_of(
            st.tuples(st.just("edge"), st.sampled_from("ab"), st.booleans()),
            st.tuples(st.just("begin"), st.integers(0, 1)),
            st.tuples(st.just("end")),
            st.tuples(st.just("mode"), st.sampled_from(Trigger)),
            st.tuples(st.just("tick")),
        ),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(st.sampled_from(Trigger), st.sampled_from([0.0, 0.03, 0.5]), EVENTS)
def test_whatever_happens_turns_alternate_and_none_outlasts_the_longest(mode, debounce, events):
    longest = 10.0
    machine = turns(mode, longest_turn=longest, debounce=debounce)
    now, outcomes = 0.0, []
    for wait, (what, *arguments) in events:
        now += wait
        if what == "edge":
            machine.edge(*arguments, now)
        elif what == "begin":
            running = machine.begin(*arguments, now)
            assert running == (machine.direction == arguments[0])
        elif what == "end":
            machine.end(now)
            assert machine.state is TurnState.IDLE
        elif what == "mode":
            machine.set_mode(*arguments, now)
        else:
            machine.advance(now)
        assert (machine.direction is None) == (machine.state is TurnState.IDLE)
        assert (deadline := machine.deadline()) is None or deadline > now
        outcomes += machine.take()
    machine.advance(now + 2 * longest)  # the button that waited has its whole turn too
    outcomes += machine.take()
    assert machine.state is TurnState.IDLE

    times = [outcome.time for outcome in outcomes]
    assert times == sorted(times)
    began = None
    for outcome in outcomes:
        if isinstance(outcome, TurnBegan):
            assert began is None
            began = outcome.time
        elif isinstance(outcome, TurnEnded):
            assert began is not None
            assert outcome.time - began <= longest + 1e-9
            began = None
    assert began is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0001, 0.2), st.booleans()), max_size=60))
def test_presses_and_releases_alternate_and_the_last_level_counts(edges):
    machine = turns("hold", debounce=0.05, longest_turn=600)
    now = 0.0
    for wait, level in edges:
        now += wait
        machine.edge("a", level, now)
    machine.advance(now + 1)
    used = [o for o in machine.take() if isinstance(o, ButtonUsed) and o.action in ("press", "release")]
    assert [o.action for o in used] == ["press", "release"] * (len(used) // 2) + ["press"] * (len(used) % 2)
    assert all(after.time - before.time >= 0.05 - 1e-9 for before, after in pairwise(used))
    assert (machine.state is TurnState.HELD) == (bool(edges) and edges[-1][1])
