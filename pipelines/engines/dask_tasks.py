"""What Dask's workers run: the steps of a pipeline on one partition, a list of elements.

Promises: an error leaves a task as text, whatever it was: an exception with a deep stack, or one that cannot be
unpickled, would never reach the launcher.
"""

# Beam runs a DoFn by classes of its own.
# pyright: reportPrivateUsage=false

import functools
import traceback
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from apache_beam.coders.coders import FastPrimitivesCoder
from apache_beam.internal import pickler
from apache_beam.runners.common import DoFnContext, DoFnInvoker, DoFnSignature, Receiver, _OutputHandler
from apache_beam.transforms.core import DoFn
from apache_beam.transforms.sideinputs import SideInputMap
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


class TaskError(RuntimeError):
    """A task failed: the message is the error's traceback."""


def _errors_as_text(task: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
    @functools.wraps(task)
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Returned:
        try:
            return task(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 -- of any type; raised again, as text
            text = "".join(traceback.format_exception(error))
        raise TaskError(text)

    return run


class _Output(Receiver):
    """Collects what a DoFn yields, by tag; None is the main output's."""

    def __init__(self, found: dict[str | None, list[Any]], tag: str | None):
        self._found, self._tag = found, tag

    def receive(self, windowed_value: WindowedValue) -> None:
        self._found.setdefault(self._tag, []).append(windowed_value.value)


class _Outputs(dict[str | None, Receiver]):
    """The receiver of each tag, made when it is first used."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str | None, list[Any]] = {}

    def __missing__(self, tag: str | None) -> Receiver:
        return self.setdefault(tag, _Output(self.found, tag))


@_errors_as_text
def apply_to_main(step: bytes, elements: Sequence[Any], *side_inputs: Sequence[Any]) -> list[Any]:
    """Returns what a DoFn yields without a tag for the elements of a partition; see `apply`."""
    return of_tag(_apply(step, elements, side_inputs), None)


@_errors_as_text
def apply(step: bytes, elements: Sequence[Any], *side_inputs: Sequence[Any]) -> Mapping[str | None, list[Any]]:
    """Returns what a DoFn yields for the elements of a partition, by tag.

    Args:
      step: pickled (label, DoFn, its arguments, its keyword arguments, views of side inputs).
      elements: the partition.
      side_inputs: all elements of each side input.
    """
    return _apply(step, elements, side_inputs)


def _apply(step: bytes, elements: Sequence[Any], side_inputs: Sequence[Any]) -> dict[str | None, list[Any]]:
    if not elements:
        return {}
    label, fn, args, kwargs, views = pickler.loads(step)
    outputs = _Outputs()
    invoker = DoFnInvoker.create_invoker(
        DoFnSignature(fn),
        _OutputHandler(
            window_fn=GlobalWindows(),
            main_receivers=outputs[None],
            tagged_receivers=outputs,
            per_element_output_counter=None,
            output_batch_converter=None,
            process_yields_batches=False,
            process_batch_yields_elements=False,
        ),
        context=DoFnContext(label),
        side_inputs=[_side_input(view, values) for view, values in zip(views, side_inputs, strict=True)],
        input_args=args,
        input_kwargs=kwargs,
        user_state_context=None,
        bundle_finalizer_param=DoFn.BundleFinalizerParam(),
    )
    invoker.invoke_setup()
    invoker.invoke_start_bundle()
    for element in elements:
        invoker.invoke_process(GlobalWindows.windowed_value(element))
    invoker.invoke_finish_bundle()
    invoker.invoke_teardown()
    return outputs.found


def _side_input(view: tuple[Any, Any], values: Iterable[Any]) -> SideInputMap:
    view_class, options = view
    return SideInputMap(view_class, options, [GlobalWindows.windowed_value(value) for value in values])


def of_tag(outputs: Mapping[str | None, list[Any]], tag: str | None) -> list[Any]:
    """Returns what was yielded with a tag."""
    return outputs.get(tag, [])


def unpickle(elements: bytes) -> list[Any]:
    """Returns the elements of `Create` that one partition has."""
    return pickler.loads(elements)


def concatenate(*partitions: Sequence[Any]) -> list[Any]:
    """Returns the elements of several partitions."""
    return [element for partition in partitions for element in partition]


def every_nth(elements: Sequence[Any], first: int, step: int) -> Sequence[Any]:
    """Returns a share of the elements."""
    return elements[first::step]


@_errors_as_text
def split(pairs: Iterable[tuple[Any, Any]], num_buckets: int) -> list[list[tuple[bytes, Any, Any]]]:
    """Returns (encoded key, key, value) of the pairs, in buckets by key: the same ones in every process."""
    buckets: list[list[tuple[bytes, Any, Any]]] = [[] for _ in range(num_buckets)]
    for key, value in pairs:
        encoded = FastPrimitivesCoder().encode(key)
        buckets[zlib.crc32(encoded) % num_buckets].append((encoded, key, value))
    return buckets


@_errors_as_text
def group(bucket: int, *splits: Sequence[Sequence[tuple[bytes, Any, Any]]]) -> list[tuple[Any, list[Any]]]:
    """Returns (key, values) of a bucket; the values have been given windows, which are dropped."""
    groups: dict[bytes, tuple[Any, list[Any]]] = {}
    for part in splits:
        for encoded, key, value in part[bucket]:
            groups.setdefault(encoded, (key, []))[1].append(value.value)
    return list(groups.values())
