"""Small files that torch.save wrote, in both of its layouts, and what they hold by NumPy; torch is imported late.

They have what real weights files have: several types, a scalar, an empty tensor, a transposed view, two tensors over
one storage, a Parameter, and the ordered dict that a module's state is.
"""

import collections
import pathlib

import ml_dtypes
import numpy as np

FILES = {"zip.pth": True, "legacy.pth": False}


def expected() -> dict[str, np.ndarray]:
    """Returns the arrays that both files hold, by name."""
    counted = np.arange(24).reshape(2, 3, 4)
    halves = (counted / 8 - 1).astype(np.float32)
    return {
        **{name: halves.astype(name) for name in ("float64", "float32", "float16")},
        **{name: (counted - 12).astype(name) for name in ("int64", "int32", "int16", "int8")},
        "bfloat16": halves.astype(ml_dtypes.bfloat16),
        "uint8": counted.astype(np.uint8),
        "bool": counted % 3 == 0,
        "scalar": np.float32(0.5).reshape(()),
        "empty": np.zeros((0, 5), np.float32),
        "transposed": halves.transpose(2, 0, 1),
        "every_second": halves[:, ::2, 1:],
        "parameter": halves[0] * 2,
    }


def write(folder: pathlib.Path) -> None:
    """Writes the files into a folder."""
    import torch

    arrays = expected()
    base = torch.from_numpy(arrays["float32"].copy())
    state = collections.OrderedDict()
    for name, array in arrays.items():
        if name == "bfloat16":
            state[name] = torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
        else:
            state[name] = torch.from_numpy(np.array(array))
    # Views of one storage, as a module with tied weights has them.
    state["transposed"], state["every_second"] = base.permute(2, 0, 1), base[:, ::2, 1:]
    state["parameter"] = torch.nn.Parameter(state["parameter"])
    state._metadata = {"": {"version": 1}}
    for name, zipped in FILES.items():
        torch.save({"epoch": 3, "state_dict": state}, folder / name, _use_new_zipfile_serialization=zipped)


def compare(folder: pathlib.Path) -> None:
    """Raises AssertionError unless torch reads from the files what NumPy expects of them."""
    import torch

    for name in FILES:
        state = torch.load(folder / name, weights_only=True)["state_dict"]
        for key, array in expected().items():
            np.testing.assert_array_equal(
                state[key].detach().to(torch.float64).numpy(), array.astype(np.float64), strict=True, err_msg=key
            )
