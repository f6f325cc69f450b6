"""Towers that a folder describes, against transformers (goldens made by tests/oracles), and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.towers.image.hugging_face.processor import preprocessing_of
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import IMAGENET_DEVIATION, Preprocessing, Standardise
from lit_precompute.towers.registry import find_tower, folder_of, resolve_tower
from lit_precompute.towers.weights.errors import WeightsError
from tests.oracles import hugging_face, processors
from tests.oracles.drawing import draw_images
from tests.towers.parity import assert_parity, golden

DESCRIBED = json.loads(processors.DESCRIBED.read_text(encoding="utf-8"))
FIRST_CASES = {file: f"{file}-{sides[0]}" for file, (_, _, sides) in hugging_face.FILES.items()}


def write_folder(folder, described):
    folder.mkdir(exist_ok=True)
    for name, content in (("config", described["config"]), ("preprocessor_config", described["processor"])):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    for file, described in DESCRIBED["files"].items():
        write_folder(root / file, described)
        safetensors.numpy.save_file(hugging_face.draw_file(file), root / file / "model.safetensors")
    return root


@pytest.mark.parametrize("file", FIRST_CASES)
def test_a_folder_is_the_tower_that_transformers_reads_there(folders, file):
    tower, case = load_tower(str(folders / file)), FIRST_CASES[file]
    images = draw_images(case, hugging_face.NUM_IMAGES, hugging_face.CASES[case][1])
    assert_parity(tower, images, golden("hugging_face", f"{case} {tower.pooling}"))


@pytest.mark.parametrize("name", DESCRIBED["published"])
def test_a_published_models_own_files_describe_its_registered_entry(tmp_path, name):
    described, entry = find_tower(write_folder(tmp_path / "folder", DESCRIBED["published"][name])), find_tower(name)
    assert described.family is entry.family
    assert (described.config, described.preprocessing) == (entry.config, entry.preprocessing)


@pytest.mark.parametrize("case", DESCRIBED["processors"])
def test_images_are_prepared_as_the_processor_does(case):
    preprocessing = preprocessing_of(DESCRIBED["processors"][case], case)
    if case not in np.load(processors.PIXELS):
        assert (preprocessing.size, preprocessing.resize, preprocessing.crop) == (384, "square", "none")
        return
    prepared = prepare(processors.draw_image(), preprocessing)
    assert prepared.dtype == preprocessing.pixel_type
    found = preprocessing.value_range.of(prepared.astype(np.float32))
    # torchvision computes a resize's weights in float32: up to 1e-5 of the range, which deviations of 0.22 enlarge.
    tolerance = 5e-5 if case.startswith("dinov3") else 2e-6
    np.testing.assert_allclose(found, np.load(processors.PIXELS)[case], rtol=0, atol=tolerance)


@pytest.mark.parametrize("words", ["", "Fast"])
def test_dinov3s_files_are_read_with_all_that_they_do_not_say(words):
    """As transformers 4.56 wrote them, with null for what is not used; Fast or not, floats are resized."""
    unused = dict.fromkeys(("crop_size", "device", "disable_grouping", "do_center_crop", "do_convert_rgb", "do_pad"))
    said = {"default_to_square": True, "data_format": "channels_first", "size": {"height": 224, "width": 224}}
    said |= {"image_processor_type": f"DINOv3ViTImageProcessor{words}", "image_mean": [0.43, 0.411, 0.296]}
    expected = Preprocessing(
        size=224,
        antialias=True,
        resampler="torch",
        jpeg="accurate",
        value_range=Standardise.of_unit_range((0.43, 0.411, 0.296), IMAGENET_DEVIATION),
    )
    assert preprocessing_of(unused | said, "file") == expected


@pytest.mark.parametrize("case", ["vit", "clip", "siglip", "bit", "convnext"])
def test_a_processor_that_was_saved_as_fast_prepares_the_same(case):
    described = DESCRIBED["processors"][case]
    saved = {**described, "image_processor_type": f"{described['image_processor_type']}Fast"}
    assert preprocessing_of(saved, case) == preprocessing_of(described, case)
    assert preprocessing_of(saved, case).resampler == "pillow"


def test_the_name_is_as_given_and_the_weights_are_the_folder(folders):
    name, entry = resolve_tower(f"{folders}/dino/")
    assert (name, entry.weights) == (f"{folders}/dino", f"{folders}/dino")


def test_workers_must_see_the_folder(folders):
    """What a launcher checks: a place for a folder, none for a name."""
    assert folder_of(f"{folders}/dino/") == f"{folders}/dino"
    assert folder_of("gs://bucket/tower") == "gs://bucket/tower"
    assert folder_of("hf://somebody/fine-tuned") == "hf://somebody/fine-tuned"
    assert [folder_of(name) for name in ("facebook/dinov2-base", "module:name", "nothing")] == [None, None, None]


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(ValueError, match="there is no such folder"):
        resolve_tower(f"{tmp_path}/nothing")


@pytest.mark.parametrize("form", ["{}", "hf://{}", "https://huggingface.co/{}", "hf-hub:{}"])
def test_a_repository_in_the_cache_is_a_tower(folders, own_cache, form):
    by_hand = own_cache / "huggingface.co" / "somebody" / "fine-tuned" / "main"
    by_hand.parent.mkdir(parents=True)
    by_hand.symlink_to(folders / "dinov2")
    name, entry = resolve_tower(form.format("somebody/fine-tuned"))
    assert name == "somebody/fine-tuned" and entry.config.patch_size == 14
    one, other = load_tower(name), load_tower(str(folders / "dinov2"))
    assert one.card().fingerprint == other.card().fingerprint


def _changed(file, part="config", **fields):
    described = DESCRIBED["files"][file]
    return {**described, part: {**described[part], **fields}}


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (_changed("dino", rope_theta=100.0), r"config.json: rope_theta is not known, and may change"),
        (_changed("dino", model_type="swin"), r"model_type must be 'vit' or .*, got 'swin'"),
        (_changed("dino", hidden_act="relu"), r"hidden_act must be 'gelu' or .*, got 'relu'"),
        (_changed("dino", qkv_bias=False), r"qkv_bias must be True, got False"),
        (_changed("dino", num_channels=1), r"num_channels must be 3, got 1"),
        (_changed("dino", hidden_size="96"), r"hidden_size must be a whole number >= 1, got '96'"),
        (_changed("dino", num_attention_heads=5), r"config.json: .*multiple of num_heads"),
        (_changed("bit", hidden_sizes=[1, 2, 3, 4]), r"hidden_sizes must be \[128, 256, 512, 1024\]"),
        (_changed("bit", layer_type="bottleneck"), r"layer_type must be 'preactivation', got 'bottleneck'"),
        (_changed("convnext", patch_size=2), r"patch_size must be 4, got 2"),
        (_changed("clip", vision_config={"window": 7}), r"config.json: vision_config: window is not known"),
        (_changed("siglip", vision_config=[]), r"vision_config must be an object, got \[\]"),
        (_changed("dino", "processor", resample=0), r"preprocessor_config.json: resample must be 2 or 3, got 0"),
        (_changed("dino", "processor", do_resize=False), r"do_resize must be True, got False"),
        (_changed("dino", "processor", do_pad=True), r"do_pad must be False, got True"),
        (_changed("dino", "processor", rescale_factor=1 / 127.5), r"rescale_factor must be 1/255"),
        (_changed("dino", "processor", image_mean=[0.5]), r"image_mean must be one number or three, got \[0.5\]"),
        (_changed("dino", "processor", size={"longest_edge": 80}), r"size must be the side of a square, got"),
        (_changed("dino", "processor", size={"height": 80, "width": 96}), r"size must be the side of a square"),
        (_changed("dino", "processor", sharpen=True), r"sharpen is not known"),
        (_changed("dino", "processor", image_processor_type="Swin2SRImageProcessor"), r"image_processor_type must be"),
        (_changed("clip", "processor", do_center_crop=False), r"do_center_crop must be true where only the short side"),
        (_changed("clip", "processor", crop_size={"height": 96, "width": 96}), r"crop 96 must be <= resize_size"),
        (
            _changed("clip", "processor", crop_size={"height": 48, "width": 64}),
            r"crop_size must be .*, got .*'width': 64",
        ),
        (_changed("siglip", "processor", size=80), r"do_center_crop must be true where only the short side"),
        (_changed("dino", "processor", image_mean=[float("nan")] * 3), r"image_mean must be finite"),
        (_changed("dino", "processor", image_std=[0, 1, 1]), r"preprocessor_config.json: .*deviation must be > 0"),
        (_changed("dino", "processor", image_processor_type=None), r"image_processor_type must be .*, got None"),
        (_changed("convnext", "processor", crop_pct=0), r"crop_pct must be a share above 0 and at most 1, got 0"),
        (_changed("convnext", "processor", do_center_crop=True), r"do_center_crop must be False, got True"),
        (_changed("bit", global_padding="same"), r"global_padding must be null, got 'same'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, described, words):
    with pytest.raises(ValueError, match=words):
        resolve_tower(write_folder(tmp_path / "folder", described))


def test_older_files_are_read(tmp_path):
    """A number for a size, feature_extractor_type, and fields that say nothing."""
    described = _changed("clip", "processor", image_processor_type=None, feature_extractor_type="CLIPFeatureExtractor")
    described["processor"] |= {"size": 80, "crop_size": 80}
    described["config"] |= {"vision_config_dict": None, "torch_dtype": "float32", "logit_scale_init_value": 2.6592}
    older = find_tower(write_folder(tmp_path / "older", described))
    newer = find_tower(write_folder(tmp_path / "newer", DESCRIBED["files"]["clip"]))
    assert dataclasses.replace(older, weights="") == dataclasses.replace(newer, weights="")


def test_one_number_is_that_of_each_channel():
    """As transformers' `normalize` takes it."""
    one, three = ({**DESCRIBED["files"]["dino"]["processor"], "image_mean": mean} for mean in (0.25, [0.25] * 3))
    assert preprocessing_of(one, "file") == preprocessing_of(three, "file")


@pytest.mark.parametrize(("name", "form"), [("gelu_python", "exact"), ("gelu_fast", "tanh")])
def test_other_names_of_an_activation(tmp_path, name, form):
    assert find_tower(write_folder(tmp_path / "folder", _changed("dino", hidden_act=name))).config.activation == form


def test_an_adapter_is_no_tower(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(
        WeightsError, match=r"holds an adapter \(adapter_config.json\) without the model .* merge the two"
    ):
        resolve_tower(str(tmp_path))


@pytest.mark.parametrize(("file", "is_square", "resize"), [("clip", True, "square"), ("dino", None, "square")])
def test_a_number_for_a_size_is_the_side_that_the_file_says(file, is_square, resize):
    described = {**DESCRIBED["files"][file]["processor"], "size": 96, "crop_size": 80, "default_to_square": is_square}
    preprocessing = preprocessing_of(described, "file")
    assert (preprocessing.resize, preprocessing.resize_size) == (resize, 96)
    with pytest.raises(ValueError, match="do_center_crop must be true where only the short side"):
        preprocessing_of(described | {"default_to_square": False, "do_center_crop": False}, "file")


def test_clips_older_field_takes_the_place_of_the_other(tmp_path):
    """With its own defaults: transformers does not mix the two (CLIPConfig.__post_init__)."""
    described = DESCRIBED["files"]["clip"]
    vision = {**described["config"]["vision_config"], "hidden_act": "gelu"}
    older = {name: value for name, value in vision.items() if name != "hidden_act"}
    config = {**described["config"], "vision_config": vision, "vision_config_dict": older}
    assert find_tower(write_folder(tmp_path / "both", {**described, "config": config})).config.activation == "quick"
    del config["vision_config_dict"]
    assert find_tower(write_folder(tmp_path / "one", {**described, "config": config})).config.activation == "exact"


def test_convnexts_processor_is_bicubic_where_its_file_is_silent():
    """transformers 5.23: models/convnext/image_processing_pil_convnext.py."""
    assert preprocessing_of({"image_processor_type": "ConvNextImageProcessor"}, "file").method == "bicubic"


def test_the_processor_of_images_and_texts_is_read_where_the_image_processor_has_no_file(tmp_path):
    """As transformers 5 saves a CLIPProcessor or SiglipProcessor."""
    described = DESCRIBED["files"]["clip"]
    expected = find_tower(write_folder(tmp_path / "own", described)).preprocessing
    folder = write_folder(tmp_path / "both", described)
    (tmp_path / "both" / "preprocessor_config.json").unlink()
    both = tmp_path / "both" / "processor_config.json"
    both.write_text(json.dumps({"image_processor": described["processor"], "processor_class": "CLIPProcessor"}))
    assert find_tower(folder).preprocessing == expected


def test_two_files_of_processors_that_differ_are_refused(tmp_path):
    """transformers 5.23 takes the second (image_processing_base.py, get_image_processor_dict), 4 the first."""
    described = DESCRIBED["files"]["clip"]
    folder = write_folder(tmp_path / "folder", described)
    own = find_tower(folder).preprocessing
    other = {**described["processor"], "image_mean": [0.25, 0.5, 0.75]}
    for number, content in enumerate(
        ({"processor_class": "CLIPProcessor"}, {"image_processor": described["processor"]})
    ):
        folder = write_folder(tmp_path / str(number), described)
        (tmp_path / str(number) / "processor_config.json").write_text(json.dumps(content))
        assert find_tower(folder).preprocessing == own
    folder = write_folder(tmp_path / "other", described)
    (tmp_path / "other" / "processor_config.json").write_text(json.dumps({"image_processor": other}))
    with pytest.raises(
        WeightsError, match=r"preprocessor_config.json and processor_config.json, beside it, prepare images"
    ):
        find_tower(folder)


def test_a_matrix_that_lies_the_other_way_round_is_refused(tmp_path):
    """It has as many values, and was once reshaped into a scrambled kernel."""
    arrays = hugging_face.draw_file("dino")
    name = next(each for each, array in arrays.items() if "intermediate.dense.weight" in each)
    folder = write_folder(tmp_path / "folder", DESCRIBED["files"]["dino"])
    turned = np.ascontiguousarray(arrays[name].T)
    safetensors.numpy.save_file({**arrays, name: turned}, tmp_path / "folder" / "model.safetensors")
    with pytest.raises(WeightsError, match=r"1 parameter of another shape:\n.*MlpBlock_0/Dense_0/kernel"):
        load_tower(folder)


def test_quantised_weights_are_refused(tmp_path):
    arrays = {name: array.astype(np.int8) for name, array in hugging_face.draw_file("dino").items()}
    folder = write_folder(tmp_path / "folder", DESCRIBED["files"]["dino"])
    safetensors.numpy.save_file(arrays, tmp_path / "folder" / "model.safetensors")
    with pytest.raises(WeightsError, match="must be floating-point, got int8; quantised weights are not read"):
        load_tower(folder)


def test_a_pointer_of_git_lfs_is_called_one(tmp_path):
    folder = write_folder(tmp_path / "folder", DESCRIBED["files"]["dino"])
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (tmp_path / "folder" / "model.safetensors").write_text(pointer)
    with pytest.raises(WeightsError, match="is a Git LFS pointer, not the file itself; run `git lfs pull`"):
        load_tower(folder)


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json"])
def test_a_folder_without_its_files_is_refused(tmp_path, missing):
    folder = write_folder(tmp_path / "folder", DESCRIBED["files"]["dino"])
    (tmp_path / "folder" / missing).unlink()
    with pytest.raises(WeightsError, match=rf"is not registered, and .*{missing} says .*, and cannot be had"):
        resolve_tower(folder)


def test_a_damaged_file_is_named(tmp_path):
    folder = write_folder(tmp_path / "folder", DESCRIBED["files"]["dino"])
    (tmp_path / "folder" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config.json: not JSON .*; copy it again"):
        resolve_tower(folder)


def test_clip_without_its_projection_pools_the_class_token(folders, tmp_path):
    vision = {**DESCRIBED["files"]["clip"]["config"]["vision_config"], "model_type": "clip_vision_model"}
    described = {**DESCRIBED["files"]["clip"], "config": {**vision, "architectures": ["CLIPVisionModel"]}}
    assert find_tower(write_folder(tmp_path / "plain", described)).config.pooling == "class_token"
    described["config"] |= {"architectures": ["CLIPVisionModelWithProjection"], "projection_dim": 48}
    config = find_tower(write_folder(tmp_path / "projected", described)).config
    assert (config.pooling, config.output_width) == ("projection", 48)


def test_other_choices_apply_as_to_registered_towers(folders):
    assert load_tower(str(folders / "dino"), resolution=112, pooling="average").preprocessing.size == 112
    with pytest.raises(ValueError, match="pooling"):
        load_tower(str(folders / "dino"), pooling="projection")
