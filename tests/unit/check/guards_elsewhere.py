"""A guard that another module reaches through this one."""


def busy(count: int) -> bool:
    """Whether that is more than one can see to."""
    return count > 2
