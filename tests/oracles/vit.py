"""Reference outputs of the Vision Transformer, from transformers; torch and transformers are imported when computing.

`ViTModel` knows the class token and what a pooler makes of it; `SiglipVisionModel` is the same network without a class
token, with attention pooling. ViTModel's weights are drawn under the names that its files have; Siglip's are
big_vision's, which this module lays out for torch.
"""

import math
import pathlib
import tempfile
from typing import Any

import numpy as np

from tests.oracles.drawing import draw, draw_images, draw_torch_state

NUM_IMAGES = 2
# name: (width, depth, heads, MLP's width, patch, resolution)
CASES = {
    "ti16-224": (192, 12, 3, 768, 16, 224),
    "ti16-160": (192, 12, 3, 768, 16, 160),
    "s32-224": (384, 12, 6, 1536, 32, 224),
    "b16-224": (768, 12, 12, 3072, 16, 224),
}


def hugging_face_shapes(case: str) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a ViTModel's file by name."""
    width, depth, _, hidden, patch, resolution = CASES[case]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.position_embeddings": (1, (resolution // patch) ** 2 + 1, width),
        "embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": (width,),
    }
    for number in range(depth):
        block = f"encoder.layer.{number}"
        linear = {f"attention.attention.{part}": (width, width) for part in ("query", "key", "value")}
        linear |= {"attention.output.dense": (width, width), "intermediate.dense": (hidden, width)}
        linear |= {"output.dense": (width, hidden)}
        for layer, shape in linear.items():
            shapes |= {f"{block}.{layer}.weight": shape, f"{block}.{layer}.bias": shape[:1]}
        for norm in ("layernorm_before", "layernorm_after"):
            shapes |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
    shapes |= {"layernorm.weight": (width,), "layernorm.bias": (width,)}
    return shapes | {"pooler.dense.weight": (width, width), "pooler.dense.bias": (width,)}


def draw_hugging_face(case: str) -> dict[str, np.ndarray]:
    """Returns the weights of a ViTModel's file."""
    return draw_torch_state(hugging_face_shapes(case))


def big_vision_shapes(case: str) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of big_vision's ViT with attention pooling, from its source."""
    width, depth, heads, hidden, patch, resolution = CASES[case]
    head_width = width // heads
    shapes: dict[str, tuple[int, ...]] = {
        "embedding/kernel": (patch, patch, 3, width),
        "embedding/bias": (width,),
        "pos_embedding": (1, (resolution // patch) ** 2, width),
        "Transformer/encoder_norm/scale": (width,),
        "Transformer/encoder_norm/bias": (width,),
        "MAPHead_0/probe": (1, 1, width),
    }
    blocks = {f"Transformer/encoderblock_{number}": ("LayerNorm_0", "LayerNorm_1") for number in range(depth)}
    for block, norms in (blocks | {"MAPHead_0": ("LayerNorm_0",)}).items():
        for norm in norms:
            shapes |= {f"{block}/{norm}/scale": (width,), f"{block}/{norm}/bias": (width,)}
        for part in ("query", "key", "value"):
            prefix = f"{block}/MultiHeadDotProductAttention_0/{part}"
            shapes |= {f"{prefix}/kernel": (width, heads, head_width), f"{prefix}/bias": (heads, head_width)}
        out = f"{block}/MultiHeadDotProductAttention_0/out"
        shapes |= {f"{out}/kernel": (heads, head_width, width), f"{out}/bias": (width,)}
        shapes |= {f"{block}/MlpBlock_0/Dense_0/kernel": (width, hidden), f"{block}/MlpBlock_0/Dense_0/bias": (hidden,)}
        shapes |= {f"{block}/MlpBlock_0/Dense_1/kernel": (hidden, width), f"{block}/MlpBlock_0/Dense_1/bias": (width,)}
    return shapes


def draw_big_vision(case: str) -> dict[str, np.ndarray]:
    """Returns big_vision's parameters."""
    parameters: dict[str, np.ndarray] = {}
    for name, shape in big_vision_shapes(case).items():
        values, leaf = draw(name, shape), name.rsplit("/", 1)[-1]
        if leaf == "kernel":
            fan_in = math.prod(shape[:-1]) if "/out/" in name or "embedding" in name else shape[0]
            values *= np.float32(fan_in**-0.5)
        elif leaf == "scale":
            values = 1 + values / 10
        elif leaf != "probe":
            values /= 10
        parameters[name] = values
    return parameters


def _siglip_state(case: str) -> dict[str, Any]:
    """Returns the parameters under SiglipVisionModel's names and in torch's layout."""
    import torch

    width = CASES[case][0]
    drawn = draw_big_vision(case)
    state = {
        "embeddings.patch_embedding.weight": drawn["embedding/kernel"].transpose(3, 2, 0, 1),
        "embeddings.patch_embedding.bias": drawn["embedding/bias"],
        "embeddings.position_embedding.weight": drawn["pos_embedding"][0],
        "post_layernorm.weight": drawn["Transformer/encoder_norm/scale"],
        "post_layernorm.bias": drawn["Transformer/encoder_norm/bias"],
        "head.probe": drawn["MAPHead_0/probe"],
        "head.layernorm.weight": drawn["MAPHead_0/LayerNorm_0/scale"],
        "head.layernorm.bias": drawn["MAPHead_0/LayerNorm_0/bias"],
    }

    def linear(ours: str, theirs: str, kernel_shape: tuple[int, int]) -> None:
        state[f"{theirs}.weight"] = drawn[f"{ours}/kernel"].reshape(kernel_shape).T
        state[f"{theirs}.bias"] = drawn[f"{ours}/bias"].reshape(-1)

    hidden = CASES[case][3]
    for number in range(CASES[case][1]):
        ours, theirs = f"Transformer/encoderblock_{number}", f"encoder.layers.{number}"
        for norm, their_norm in (("LayerNorm_0", "layer_norm1"), ("LayerNorm_1", "layer_norm2")):
            state[f"{theirs}.{their_norm}.weight"] = drawn[f"{ours}/{norm}/scale"]
            state[f"{theirs}.{their_norm}.bias"] = drawn[f"{ours}/{norm}/bias"]
        for part, their_part in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "out_proj")):
            attention = f"{ours}/MultiHeadDotProductAttention_0/{part}"
            linear(attention, f"{theirs}.self_attn.{their_part}", (width, width))
        linear(f"{ours}/MlpBlock_0/Dense_0", f"{theirs}.mlp.fc1", (width, hidden))
        linear(f"{ours}/MlpBlock_0/Dense_1", f"{theirs}.mlp.fc2", (hidden, width))
    attention = "MAPHead_0/MultiHeadDotProductAttention_0"
    inputs = [drawn[f"{attention}/{part}/kernel"].reshape(width, width).T for part in ("query", "key", "value")]
    state["head.attention.in_proj_weight"] = np.concatenate(inputs)
    biases = [drawn[f"{attention}/{part}/bias"].reshape(-1) for part in ("query", "key", "value")]
    state["head.attention.in_proj_bias"] = np.concatenate(biases)
    linear(f"{attention}/out", "head.attention.out_proj", (width, width))
    linear("MAPHead_0/MlpBlock_0/Dense_0", "head.mlp.fc1", (width, hidden))
    linear("MAPHead_0/MlpBlock_0/Dense_1", "head.mlp.fc2", (hidden, width))
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns, by pooling, float32 [2, width]."""
    import torch
    from transformers import SiglipVisionConfig, SiglipVisionModel

    width, depth, heads, hidden, patch, resolution = CASES[case]
    images = torch.from_numpy(np.ascontiguousarray(draw_images(case, NUM_IMAGES, resolution).transpose(0, 3, 1, 2)))
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
    sizes |= {"intermediate_size": hidden, "patch_size": patch, "image_size": resolution}
    tanh = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
    with torch.no_grad():
        with_token = _load_vit(case, {**sizes, **tanh})(pixel_values=images)
        siglip = SiglipVisionModel(SiglipVisionConfig(**sizes, **tanh)).eval()
        prefix = "vision_model." if any(name.startswith("vision_model.") for name in siglip.state_dict()) else ""
        fit = siglip.load_state_dict(
            {prefix + name: value for name, value in _siglip_state(case).items()}, strict=False
        )
        assert not fit.unexpected_keys and all(name.endswith("position_ids") for name in fit.missing_keys), fit
        without_token = siglip(pixel_values=images)
    return {
        "class_token": with_token.last_hidden_state[:, 0].numpy(),
        "pre_logits": with_token.pooler_output.numpy(),
        "average": without_token.last_hidden_state.mean(1).numpy(),
        "map": without_token.pooler_output.numpy(),
    }


def _load_vit(case: str, sizes: dict[str, Any]) -> Any:
    """Returns a ViTModel that read its weights from a file, as its users' do."""
    import safetensors.numpy
    from transformers import ViTConfig, ViTModel

    with tempfile.TemporaryDirectory() as folder:
        ViTConfig(**sizes).save_pretrained(folder)
        safetensors.numpy.save_file(
            draw_hugging_face(case), pathlib.Path(folder) / "model.safetensors", {"format": "pt"}
        )
        model, report = ViTModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return model.eval()
