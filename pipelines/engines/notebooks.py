"""Beam in a notebook."""

import contextlib
from collections.abc import Iterator
from unittest import mock


@contextlib.contextmanager
def as_in_a_script() -> Iterator[None]:
    """Steps that are added in the block get the labels that they have outside of notebooks.

    In IPython, Beam 2.77.0 looks at each step whether it is of a pipeline that the user has in a variable, to label it
    by the cell. The look alone imports pandas and others, which Beam does not require. A job's pipeline is in none.
    """
    with mock.patch("apache_beam.pipeline.alter_label_if_ipython", lambda transform, pvalueish: None):
        yield
