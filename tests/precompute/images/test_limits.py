"""Pixels in flight: the bound, one image above it, turns, and what is given back."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lit_precompute.precompute.images.limits import PixelsInFlight


def test_the_bound_is_kept_and_a_larger_image_is_alone():
    in_flight, lock = PixelsInFlight(100, 100), threading.Lock()
    held: list[int] = []
    seen: list[list[int]] = []

    def decode(num_pixels: int) -> None:
        with in_flight.holding(num_pixels):
            with lock:
                held.append(num_pixels)
                seen.append(list(held))
            time.sleep(0.001)
            with lock:
                held.remove(num_pixels)

    sizes = np.random.default_rng(0).choice([1, 10, 40, 60, 100, 500], 200).tolist()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(decode, sizes))
    assert len(seen) == 200 and held == []
    assert all(sum(together) <= 100 or len(together) == 1 for together in seen)


def test_small_images_go_together():
    in_flight, all_here = PixelsInFlight(100, 100), threading.Barrier(3)

    def decode(num_pixels: int) -> None:
        with in_flight.holding(num_pixels):
            all_here.wait(60)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(decode, (1, 39, 60)))


def test_small_images_do_not_overtake_a_large_one_that_waits():
    in_flight, order = PixelsInFlight(10, 10), []

    def decode(num_pixels: int) -> None:
        with in_flight.holding(num_pixels):
            order.append(num_pixels)

    waiting = [threading.Thread(target=decode, args=(num_pixels,)) for num_pixels in (99, 1, 2)]
    with in_flight.holding(5):
        waiting[0].start()
        while not in_flight._turn.locked():
            time.sleep(0.001)
        for thread in waiting[1:]:
            thread.start()
        time.sleep(0.1)  # time to overtake
        assert order == []
    for thread in waiting:
        thread.join()
    assert order[0] == 99


def test_an_error_gives_its_pixels_back():
    in_flight = PixelsInFlight(10, 10)
    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"), in_flight.holding(10):
            raise ValueError("damaged")
    with in_flight.holding(10):
        pass


def test_a_quarter_is_cut_into_shares_and_the_rest_is_held():
    in_flight = PixelsInFlight(1000, 2)
    assert not in_flight.take_share(126)
    assert in_flight.take_share(125) and in_flight.take_share(1)
    assert not in_flight.take_share(1)  # however many decoders there are
    in_flight.give_back_share()
    assert in_flight.take_share(1)
    with in_flight.holding(700):
        second = threading.Thread(target=in_flight.holding(51).__enter__, daemon=True)
        second.start()
        second.join(0.2)
        assert second.is_alive()  # 1,000 less 2 x 125 are 750
    second.join(60)
    assert not second.is_alive()
