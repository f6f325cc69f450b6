"""The one error of the weights readers: what is wrong with a file, and where in it."""


class WeightsError(ValueError):
    """A weights file that cannot be used; the message names the file, the rule and the value."""
