"""The shared convolutions against NumPy and SciPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from lit_precompute.towers.image import convolutions


def _draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _float64_depthwise(features, kernel, bias, stride):
    """Returns SciPy's correlation of every image and channel, at TensorFlow's places where there is a stride."""
    size, lengths = kernel.shape[0], features.shape[1:3]
    # SciPy's "same" centres the kernel; SAME with a stride begins later where less padding is needed.
    totals = [max((-(-length // stride) - 1) * stride + size - length, 0) for length in lengths]
    first = [(size - 1) // 2 - total // 2 for total in totals]
    result = np.zeros((len(features), *(-(-length // stride) for length in lengths), features.shape[3]))
    for image, channel in np.ndindex(features.shape[0], features.shape[3]):
        plane, filter_ = features[image, ..., channel].astype(np.float64), kernel[..., channel].astype(np.float64)
        whole = scipy.signal.correlate2d(np.pad(plane, ((0, stride),) * 2), filter_, mode="same")
        found = whole[first[0] :: stride, first[1] :: stride]
        result[image, ..., channel] = found[: result.shape[1], : result.shape[2]] + bias[channel]
    return result


def _depthwise_on_accelerators(features, kernel, bias, *, stride):
    return convolutions._convolved(features, kernel[:, :, None], bias, stride)


@pytest.mark.parametrize("form", [convolutions.depthwise, _depthwise_on_accelerators])
@pytest.mark.parametrize(("size", "stride"), [(7, 1), (3, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize(("height", "width"), [(9, 12), (5, 4)])
def test_depthwise_matches_float64_scipy(form, size, stride, height, width):
    features, kernel, bias = _draw(2, height, width, 3), _draw(size, size, 3), _draw(3)
    found = np.asarray(jax.jit(form, static_argnames="stride")(features, kernel, bias, stride=stride))
    expected = _float64_depthwise(features, kernel, bias, stride)
    assert found.shape == expected.shape
    # 49 sums in float32 of numbers near one.
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("form", "num_roundings"),
    [(convolutions._depthwise_on_cpus, 1), (_depthwise_on_accelerators, 2)],
)
def test_depthwise_sums_in_float32_where_features_are_bfloat16(form, num_roundings):
    features, kernel, bias = (
        jnp.asarray(values, jnp.bfloat16) for values in (_draw(1, 8, 8, 4), _draw(7, 7, 4), _draw(4))
    )
    found = form(features, kernel, bias, stride=1)
    assert found.dtype == jnp.bfloat16
    exact_bias = np.asarray(bias, np.float64)
    exact = _float64_depthwise(*(np.asarray(values, np.float32) for values in (features, kernel, bias)), 1)
    # A rounding moves a number by half of bfloat16's last of 8 bits; the other one is of the sum without its bias.
    sizes = np.abs(exact) + (num_roundings - 1) * np.abs(exact - exact_bias)
    assert (np.abs(np.asarray(found, np.float64) - exact) <= 1.01 * 2**-8 * sizes + 1e-5).all()


def _on_this_device(images, kernel, bias):
    return convolutions.of_few_channels(images, kernel, bias, stride=2)


def _on_accelerators(images, kernel, bias):
    return convolutions._convolved(images, kernel, bias, 2)


@pytest.mark.parametrize("form", [_on_this_device, _on_accelerators])
@pytest.mark.parametrize(("height", "width"), [(9, 12), (8, 5)])
def test_a_convolution_of_few_channels_matches_float64_scipy(form, height, width):
    images, kernel, bias = _draw(2, height, width, 3), _draw(3, 3, 3, 5), _draw(5)
    found = np.asarray(jax.jit(form)(images, kernel, bias))
    for output in range(5):
        # A convolution is the sum of a depthwise one over its input channels.
        parts = _float64_depthwise(images, kernel[..., output], np.zeros(3), 2)
        np.testing.assert_allclose(found[..., output], parts.sum(-1) + bias[output], atol=1e-5)
