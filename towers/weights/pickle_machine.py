"""Interprets the few pickle instructions that a file of tensors needs, and refuses the rest.

A pickle is a program. This interpreter has only its data instructions: numbers, strings, tuples, lists, dicts, and
three calls (an ordered dict, a tensor, a parameter), each of which only builds a small record of ours.

Promises: no name from the file is ever imported, nothing in the file is ever called, no attribute is ever set. A file
that asks for anything else gets a WeightsError with the name that it asked for.

Not here: the tensors' bytes (`torch_pickle`). Not pickle.Unpickler with a restricted `find_class`: it would still set
attributes, hash nested keys and size its memo as the file says, each of which has been used for attacks.

Source: the standard library's pickletools, which defines and decodes the instructions.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable
from typing import Any

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.file_bytes import FileBytes

_MARK = object()
# A tensor takes about 30; one byte of a file can cost a hundred of memory.
_MAX_INSTRUCTIONS = 2_000_000

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "FLOAT",
    "BINFLOAT",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ORDERED_DICT = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"


@dataclasses.dataclass(frozen=True)
class Name:
    """A name that the file asked for, such as "torch.FloatStorage"; nothing is imported."""

    name: str


@dataclasses.dataclass(frozen=True)
class Tensor:
    """The file's description of one tensor, unchecked; `storage` is the persistent id."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


@dataclasses.dataclass(frozen=True)
class _PersistentId:
    value: Any


def run_pickle(stream: FileBytes, where: str) -> Any:
    """Returns the value of the pickle at `stream`'s position, which is left just after it.

    Values are None, booleans, numbers, strings, tuples, lists, dicts with string keys, `Name` and `Tensor`.

    Raises:
      WeightsError: the pickle is damaged, or asks for anything that a file of tensors does not need.
    """
    machine = _Machine(where)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # pyright: ignore[reportArgumentType]
            if number == _MAX_INSTRUCTIONS:
                raise WeightsError(f"{where}: its pickle has over {_MAX_INSTRUCTIONS:,} instructions; refused")
            machine.step(opcode.name, argument)
    except WeightsError:
        raise
    except (ValueError, IndexError, AttributeError, TypeError, Warning) as error:
        # pickletools' words for a pickle that is cut off or scrambled (an odd backslash is a warning, which may be an
        # error), and ours for one that pops what it never pushed.
        raise WeightsError(f"{where}: the pickle in it is damaged ({error}); fetch the file again") from error
    return machine.result()


class _Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, where: str):
        self._where = where
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self._stack) != 1:
            raise WeightsError(f"{self._where}: the pickle in it is damaged (it leaves {len(self._stack)} values)")
        return self._stack[0]

    def step(self, opcode: str, argument: Any) -> None:
        """Executes one instruction, or refuses it."""
        if opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _EMPTY:
            self._stack.append(_EMPTY[opcode]())
        elif opcode in _SHORT_TUPLES:
            count = _SHORT_TUPLES[opcode]
            self._stack.append(tuple([self._pop() for _ in range(count)][::-1]))
        elif opcode in ("PROTO", "FRAME", "STOP"):
            pass
        elif (action := getattr(self, f"_do_{opcode.lower()}", None)) is not None:
            action(argument)
        else:
            raise WeightsError(
                f"{self._where}: a file of tensors does not need the pickle instruction {opcode}; refused"
            )

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value was expected")
        return value

    def _pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise ValueError(f"a {kind.__name__} was expected, not {type(self._stack[-1]).__name__}")
        return self._stack[-1]

    # Each method below is one instruction; pickletools documents them by these names.

    def _do_mark(self, _: None) -> None:
        self._stack.append(_MARK)

    def _do_tuple(self, _: None) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _do_append(self, _: None) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _do_appends(self, _: None) -> None:
        values = self._pop_to_mark()
        self._top(list).extend(values)

    def _do_setitem(self, _: None) -> None:
        value, key = self._pop(), self._pop()
        self._set(self._top(dict), key, value)

    def _do_setitems(self, _: None) -> None:
        values = self._pop_to_mark()
        if len(values) % 2:
            raise ValueError("a key without a value")
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            self._set(target, key, value)

    def _set(self, target: dict[Any, Any], key: Any, value: Any) -> None:
        if not isinstance(key, str | int):
            raise WeightsError(f"{self._where}: names must be strings, got {type(key).__name__}")
        target[key] = value

    def _do_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _do_put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_get(self, index: int) -> None:
        if index not in self._memo:
            raise ValueError(f"memo entry {index} was never made")
        self._stack.append(self._memo[index])

    _do_binget = _do_long_binget = _do_get

    def _do_global(self, module_and_name: str) -> None:
        self._push_name(module_and_name.replace(" ", ".", 1))

    def _do_stack_global(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        self._push_name(f"{module}.{name}")

    def _push_name(self, name: str) -> None:
        is_storage = name.startswith("torch.") and name.endswith("Storage") and name.count(".") == 1
        if name not in (_ORDERED_DICT, _TENSOR, _PARAMETER) and not is_storage:
            raise WeightsError(f"{self._where}: asks to load {name!r}; only tensors are read, nothing is run; refused")
        self._stack.append(Name(name))

    def _do_binpersid(self, _: None) -> None:
        self._stack.append(_PersistentId(self._pop()))

    def _do_reduce(self, _: None) -> None:
        arguments, called = self._pop(), self._pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise WeightsError(f"{self._where}: asks to call {type(called).__name__}; nothing is run; refused")
        if called.name == _ORDERED_DICT and not arguments:
            self._stack.append({})
        elif called.name == _TENSOR and len(arguments) >= 4 and isinstance(arguments[0], _PersistentId):
            self._stack.append(Tensor(arguments[0].value, *arguments[1:4]))
        elif called.name == _PARAMETER and arguments and isinstance(arguments[0], Tensor):
            self._stack.append(arguments[0])
        else:
            raise WeightsError(f"{self._where}: asks to call {called.name} in a way that gives no tensor; refused")

    def _do_build(self, _: None) -> None:
        # The state of an ordered dict: torch notes version numbers there. It is dropped; nothing is set.
        self._pop()
        self._top(dict)
