"""Why something did not work."""


class Failure(Exception):
    """Why a call was refused, or why a plugin gives up.

    `reason` is a word for programs: the host's (`quota`, `unknown`, `kind`, `bounds`, `too-large`), `option` for a
    setting that will not do, `failed` for any other exception, or a plugin's own. `message` is a sentence for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def wrong(option: str, what: str) -> Failure:
    """A failure that names an option: what is wrong with it, and what would be right. It is to be raised."""
    return Failure("option", f"option {option}: {what}")
