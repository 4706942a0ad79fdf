"""The one kind of error that a person can cause or mend."""


class DragomanError(Exception):
    """What went wrong, where, and what to do about it, in one line fit for a person.

    The command line prints the message after ``dragoman: `` and exits with 1; the daemon logs it. Any other
    exception that reaches the top is a bug.
    """


class UsageError(DragomanError):
    """The request itself was wrong (a bad flag, key, language tag); the command line exits with 2."""
