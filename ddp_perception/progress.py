"""When a bar shows progress."""


def hides_bar(wanted: bool) -> bool | None:
    """Return tqdm's ``disable``: bars are for terminals.

    In a file or a pipe, where a bar would be written over and over, there is
    none.

    Args:
        wanted: whether there is to be a bar at all.

    Returns:
        True to hide it, None to let tqdm hide it where nobody watches.
    """
    return None if wanted else True
