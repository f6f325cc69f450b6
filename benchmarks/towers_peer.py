"""The towers in torch, run by `benchmarks/towers.py` where torch, transformers and timm are (.venv-oracles).

Takes a family, a batch size, a side and optionally "channels_last", another memory layout. For each line on standard
input it runs one batch and prints the seconds. On a GPU model and images are bfloat16. What transformers lacks is
timm's (EVA-02, Perception Encoder) or written here in torch's layers (MLP-Mixer, EfficientNet-Lite0).
"""

import itertools
import sys
import time

import torch
import transformers
from torch import nn

NUM_THREADS = 2


def _mlp(length: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(length, hidden), nn.GELU("tanh"), nn.Linear(hidden, length))


class Mixer(nn.Module):
    """MLP-Mixer B/16 on 224 pixels."""

    def __init__(self):
        """Builds twelve blocks."""
        super().__init__()
        self.stem = nn.Conv2d(3, 768, 16, 16)
        self.norms = nn.ModuleList(nn.LayerNorm(768) for _ in range(25))
        self.over_patches = nn.ModuleList(_mlp(196, 384) for _ in range(12))
        self.over_channels = nn.ModuleList(_mlp(768, 3072) for _ in range(12))

    def forward(self, pixel_values):
        """Returns [n, 768]."""
        tokens = self.stem(pixel_values).flatten(2).transpose(1, 2)
        for number in range(12):
            normed = self.norms[2 * number](tokens).transpose(1, 2)
            tokens = tokens + self.over_patches[number](normed).transpose(1, 2)
            tokens = tokens + self.over_channels[number](self.norms[2 * number + 1](tokens))
        return self.norms[24](tokens).mean(1)


class InvertedBottleneck(nn.Module):
    """Expands, filters each channel, projects; with TensorFlow's padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        """Builds the layers."""
        super().__init__()
        wide, self.adds = inputs * expansion, stride == 1 and inputs == outputs
        odd = kernel - stride
        expand = [nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            nn.ZeroPad2d((odd // 2, odd - odd // 2) * 2),
            nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, features):
        """Returns the block's features."""
        return self.layers(features) + features if self.adds else self.layers(features)


def efficientnet_lite0() -> nn.Module:
    """Returns the network up to its 1,280 averaged features."""
    stem = [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    # blocks, kernel, stride, expansion, width
    stages = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80))
    stages += ((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
    layers, inputs = [*stem], 32
    for count, kernel, stride, expansion, width in stages:
        for number in range(count):
            layers.append(InvertedBottleneck(inputs, width, kernel, 1 if number else stride, expansion))
            inputs = width
    head = [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, *head, nn.Flatten())


def dinov3_base() -> nn.Module:
    """Returns transformers' DINOv3 ViT-B/16."""
    sizes = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_register_tokens": 4}
    return transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**sizes))


def convnext_base() -> nn.Module:
    """Returns transformers' ConvNeXt-B."""
    sizes = {"depths": [3, 3, 27, 3], "hidden_sizes": [128, 256, 512, 1024]}
    return transformers.ConvNextModel(transformers.ConvNextConfig(**sizes))


def bit_r50x1() -> nn.Module:
    """Returns transformers' BiT R50x1."""
    return transformers.BitModel(transformers.BitConfig())


def aimv2_large() -> nn.Module:
    """Returns transformers' AIMv2-L, the smallest of its family, without a head."""
    return transformers.Aimv2VisionModel(transformers.Aimv2VisionConfig(use_head=False))


def of_timm(name: str) -> nn.Module:
    """Returns one of timm's models, with a projection where it is published with one."""
    import timm  # here, since the other families need no timm

    return timm.create_model(name, pretrained=False)


MODELS = {
    "vit": lambda: transformers.ViTModel(transformers.ViTConfig(), add_pooling_layer=False),
    "dinov3": dinov3_base,
    "mixer": Mixer,
    "bit": bit_r50x1,
    "convnext": convnext_base,
    "efficientnet": efficientnet_lite0,
    "aimv2": aimv2_large,
    "eva": lambda: of_timm("eva02_base_patch14_224.mim_in22k"),
    "pe": lambda: of_timm("vit_pe_core_base_patch16_224.fb"),
}
_OF_TRANSFORMERS = ("vit", "dinov3", "bit", "convnext", "aimv2")


def main() -> None:
    """Prints the device's name, then for each line of input the seconds of one batch."""
    family, batch_size, side = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(NUM_THREADS)
    on_gpu = torch.cuda.is_available()
    place = {"device": "cuda", "dtype": torch.bfloat16} if on_gpu else {"device": "cpu", "dtype": torch.float32}
    torch.manual_seed(0)
    model = MODELS[family]().eval().to(**place)
    images = torch.rand(batch_size, 3, side, side, **place) * 2 - 1
    if sys.argv[4:] == ["channels_last"]:
        model, images = (thing.to(memory_format=torch.channels_last) for thing in (model, images))
    take = (lambda: model(pixel_values=images)) if family in _OF_TRANSFORMERS else (lambda: model(images))
    print(torch.cuda.get_device_name() if on_gpu else "cpu", flush=True)
    with torch.inference_mode():
        for _ in itertools.takewhile(bool, iter(sys.stdin.readline, None)):
            started = time.perf_counter()
            take()
            if on_gpu:
                torch.cuda.synchronize()
            print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
