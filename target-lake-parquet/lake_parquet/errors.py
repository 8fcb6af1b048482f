"""What can go wrong for a user, by what the caller does next.

LakeError          stop; one line on stderr, exit code 1
+-- UsageError     stop before anything is read; exit code 2
"""


class LakeError(Exception):
    """Something happened that the user must know: the message says what, where, and what to do."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        """Takes the message as one line that no terminal obeys: it may hold a stranger's names."""
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Writes what does not print (line ends, terminal commands, half characters) as Python's `ascii` does."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class UsageError(LakeError):
    """The command was asked for something that cannot be: a bad setting, a missing file."""

    exit_code = 2
