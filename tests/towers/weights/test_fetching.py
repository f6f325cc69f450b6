"""Weights that are elsewhere: fetched once and whole from a server or a store of this machine, or refused in words."""

import hashlib
import json
import pathlib
import sys

import fsspec
import huggingface_hub
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.schemas.storage import Patience, num_retried
from lit_precompute.towers.weights.cache import cache_folder
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.reading import read_weights
from tests.towers.conftest import COMMIT

pytestmark = pytest.mark.usefixtures("places")
QUICK = Patience(first_pause_s=0.001)


def test_a_file_of_the_hub_is_fetched_once_into_its_cache(tmp_path, server):
    server.contents["/owner/name/resolve/main/sub/w.npz"] = f"{server.other_address}/elsewhere"
    server.contents["/elsewhere"] = bytes(3 << 20)
    calls = []
    path = find_weights("hf://owner/name/sub/w.npz", progress=lambda *words: calls.append(words))
    assert path == str(tmp_path / f"hub/models--owner--name/snapshots/{COMMIT}/sub/w.npz")
    assert pathlib.Path(path).read_bytes() == bytes(3 << 20)
    assert calls[-1] == ("w.npz", 3 << 20, 3 << 20)
    num_asked = len(server.asked)
    assert server.fetched() == ["/elsewhere"]
    assert find_weights("hf://owner/name/sub/w.npz") == path
    assert len(server.asked) == num_asked
    assert huggingface_hub.hf_hub_download("owner/name", "sub/w.npz") == path


def test_a_file_of_the_web_is_fetched_once(tmp_path, server):
    server.contents["/a/w.npz"] = "/elsewhere"
    server.contents["/elsewhere"] = bytes(3 << 20)
    calls = []
    path = find_weights(f"{server.address}/a/w.npz", progress=lambda *words: calls.append(words))
    assert path == str(cache_folder(f"{server.address}/a") / "w.npz")
    assert pathlib.Path(path).read_bytes() == bytes(3 << 20)
    assert calls[-1] == ("w.npz", 3 << 20, 3 << 20) and len(calls) > 1
    assert find_weights(f"{server.address}/a/w.npz") == path
    assert len(server.asked) == 2
    assert [file.name for file in pathlib.Path(path).parent.iterdir()] == ["w.npz"]


def test_a_token_is_sent_only_to_the_hub(server, set_hub, hub_variables):
    set_hub(**hub_variables, HF_TOKEN="secret")
    server.contents["/owner/name/resolve/main/w.npz"] = f"{server.other_address}/elsewhere"
    server.contents["/elsewhere"] = b"content"
    find_weights("hf://owner/name/w.npz")
    find_weights(f"{server.address}/elsewhere")
    assert {(path, token) for _, path, token in server.asked} == {
        ("/owner/name/resolve/main/w.npz", "Bearer secret"),
        ("/elsewhere", None),
    }


def test_shards_are_fetched_with_their_index(server):
    arrays = {"a": np.ones(2, np.float32), "b": np.zeros(3, np.float32)}
    # From the commit that the index is of: the branch may have moved on.
    for name, array in arrays.items():
        server.contents[f"/owner/name/resolve/{COMMIT}/{name}.safetensors"] = safetensors.numpy.save({name: array})
    index = json.dumps({"weight_map": {name: f"{name}.safetensors" for name in arrays}}).encode()
    server.contents["/owner/name/resolve/v1/model.safetensors.index.json"] = index
    path = find_weights("hf://owner/name@v1/model.safetensors")
    found = read_weights(path)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [1, 1], "b": [0, 0, 0]}
    num_fetched = len(server.fetched())
    shard = pathlib.Path(path).with_name("b.safetensors")
    shard.resolve().unlink()  # as a kill between the two files would leave it
    shard.unlink()
    assert find_weights("hf://owner/name@v1/model.safetensors") == path
    assert [fetched.rpartition("/")[2] for fetched in server.fetched()[num_fetched:]] == ["b.safetensors"]
    assert read_weights(path).keys() == arrays.keys()


def test_a_repository_of_torchs_file_alone(server):
    server.contents["/owner/name/resolve/main/pytorch_model.bin"] = b"content"
    assert find_weights("hf://owner/name").endswith("/pytorch_model.bin")
    # Of a file that a hash is known of, no other will do.
    with pytest.raises(WeightsError, match="the server says 404"):
        find_weights("hf://owner/name/model.safetensors", sha256="01234567")


def test_an_index_fetched_from_elsewhere_names_no_file_outside(server):
    server.contents["/x/model.safetensors.index.json"] = b'{"weight_map": {"a": "../../secret"}}'
    with pytest.raises(WeightsError, match="must name files in its own folder"):
        find_weights(f"{server.address}/x/model.safetensors.index.json")
    assert len(server.asked) == 1


@pytest.mark.parametrize("digits", [64, 8])
def test_the_hash_that_is_known_is_held(tmp_path, server, digits):
    known = hashlib.sha256(b"published").hexdigest()[:digits]
    server.contents["/w.npz"] = b"published"
    path = pathlib.Path(find_weights(f"{server.address}/w.npz", sha256=known))
    path.write_bytes(b"corrupted")
    found = hashlib.sha256(b"corrupted").hexdigest()
    with pytest.raises(WeightsError, match=f"must begin with {known}, got {found}"):
        find_weights(f"{server.address}/w.npz", sha256=known)
    path.unlink()
    server.contents["/w.npz"] = b"corrupted"
    with pytest.raises(WeightsError, match=f"{server.address}/w.npz: .* must begin with {known}, got {found}"):
        find_weights(f"{server.address}/w.npz", sha256=known)
    assert list(path.parent.iterdir()) == []


def test_a_connection_that_ends_early_leaves_nothing(server):
    server.contents["/w.npz"], server.short = b"content", 5
    with pytest.raises(WeightsError, match=r"could not be fetched .*connection ended early, after 6 attempts .* Get "):
        find_weights(f"{server.address}/w.npz", patience=QUICK)
    assert list(cache_folder(server.address).iterdir()) == []


def test_addresses_that_differ_do_not_share_a_file(server):
    for path in ("/w?id=1", "/w?id=2", "/a//w", "/a/w", "/w"):
        server.contents[path] = path.encode()
    for path in server.contents:
        assert pathlib.Path(find_weights(server.address + path)).read_bytes() == path.encode()
    assert len(server.asked) == len(server.contents)


def test_no_address_leads_out_of_the_cache(tmp_path):
    for place in ("https://a/../../..", "https://../x", "gs://..", "s3://a/./b", "https://a/\0"):
        assert cache_folder(place).is_relative_to(tmp_path / "own/other")


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, r"401 .*HF_TOKEN"), (403, r"403 .*HF_TOKEN"), (404, "404"), (500, "500")],
)
def test_what_a_server_refuses(tmp_path, server, status, words):
    server.contents["/owner/name/resolve/main/w.npz"] = status
    own = tmp_path / "own/huggingface.co/owner/name/main/w.npz"
    message = (
        rf"hf://owner/name/w\.npz: is not on this machine and could not be fetched \(the server says {words}.*\)\. "
        rf"Get {server.address}/owner/name/resolve/main/w\.npz and put it at {own}, or anywhere .*--weights FILE"
    )
    with pytest.raises(WeightsError, match=message):
        find_weights("hf://owner/name/w.npz", patience=QUICK)
    # The place that it names is one that is looked at.
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_bytes(b"by hand")
    assert find_weights("hf://owner/name/w.npz") == str(own)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "the server says 401"), (404, "there is no such file"), (500, "the server says 500")]
)
def test_what_another_server_refuses(server, status, words):
    server.contents["/w.npz"] = status
    own = cache_folder(server.address) / "w.npz"
    with pytest.raises(WeightsError, match=rf"\({words}.*\)\. Get {server.address}/w\.npz and put it at {own}, or"):
        find_weights(f"{server.address}/w.npz", patience=QUICK)
    assert len(server.fetched()) == (6 if status == 500 else 1)


def test_a_server_that_refuses_once_is_asked_again(server):
    server.contents |= {"/w.npz": b"content", "/owner/name/resolve/main/w.npz": b"content"}
    before = num_retried()
    for place in (f"{server.address}/w.npz", "hf://owner/name/w.npz"):
        server.failing.append(503)
        path = pathlib.Path(find_weights(place, patience=QUICK))
        assert path.read_bytes() == b"content"
    assert server.failing == []
    assert num_retried() - before >= 2  # those of others' threads are counted, too


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("ftp://127.0.0.1:9/w.npz", "Connection refused, after 6 attempts"),
        ("foo://a/w.npz", "unknown scheme 'foo'"),
        ("s3://a/w.npz", "s3:// needs a Python package that is not installed: pip install s3fs"),
    ],
)
def test_another_store_that_cannot_be_asked(monkeypatch, place, words):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(WeightsError, match=rf"{place}: .*could not be fetched \({words}.*\)\. Get {place} and put"):
        find_weights(place, patience=QUICK)


def test_without_a_network(set_hub, hub_variables):
    place = "hf://google/vit-base-patch16-224"
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*refused, after.*\)\. Get .*model\.safetensors"):
        find_weights(place, patience=QUICK)
    with pytest.raises(
        WeightsError,
        match=r"could not be fetched \(Connection refused, after 6 attempts.*\)\. Get .*/w\.npz and put it at",
    ):
        find_weights("http://127.0.0.1:9/w.npz", patience=QUICK)
    set_hub(**hub_variables, HF_HUB_OFFLINE=1)
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*offline mode.*\)\. Get .*model\.safetensors"):
        find_weights(place)


def test_a_store_whose_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(WeightsError, match=r"gs://bucket/w\.npz: .*gcsfs.* Get gs://bucket/w\.npz and put it at"):
        find_weights("gs://bucket/w.npz")
    (tmp_path / "own/gs/bucket").mkdir(parents=True)
    (tmp_path / "own/gs/bucket/w.npz").write_bytes(b"by hand")
    assert find_weights("gs://bucket/w.npz") == str(tmp_path / "own/gs/bucket/w.npz")


def test_a_stores_file_that_changed_is_fetched_again():
    store = fsspec.filesystem("memory")
    store.pipe("/weights/w.npz", b"first")
    first = find_weights("memory://weights/w.npz")
    assert find_weights("memory://weights/w.npz") == first
    store.pipe("/weights/w.npz", b"second")
    assert pathlib.Path(find_weights("memory://weights/w.npz")).read_bytes() == b"second"
    assert pathlib.Path(first).read_bytes() == b"first"
    store.pipe("/weights/model.safetensors", safetensors.numpy.save({"a": np.ones(1)}))
    assert read_weights(find_weights("memory://weights")).keys() == {"a"}
    with pytest.raises(WeightsError, match="there is no such file"):
        find_weights("memory://weights/none.npz")
