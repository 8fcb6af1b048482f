"""What can go wrong for a user, by what the caller does next.

LakeError          stop; one line on stderr, exit code 1
+-- UsageError     stop before anything is read; exit code 2
"""


class LakeError(Exception):
    """Something happened that the user must know: the message says what, where, and what to do."""

    exit_code = 1


class UsageError(LakeError):
    """The command was asked for something that cannot be: a bad setting, a missing file."""

    exit_code = 2
