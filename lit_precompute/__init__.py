"""lit-precompute: embed images once with a locked tower, tune text towers on the embeddings as often as you like.

These are the public names; docs/python.md shows each in use. They are loaded on first use, so that `import
lit_precompute` is fast and a trainer never imports what only embedding needs. Everything else may move.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_precompute.choosing.choosing import choose_tower
    from lit_precompute.choosing.options import ChooseOptions
    from lit_precompute.deriving import derive, flatten
    from lit_precompute.embedding import embed
    from lit_precompute.pipelines.deduplicate import DeduplicateOptions, deduplicate
    from lit_precompute.pipelines.embed.options import EmbedOptions
    from lit_precompute.pipelines.embed_images import EmbedImages, JaxTowerHandler
    from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
    from lit_precompute.precompute.deriving.embedding_texts.options import EmbedTextsOptions
    from lit_precompute.precompute.deriving.options import DeriveOptions
    from lit_precompute.precompute.options import DecodingOptions
    from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
    from lit_precompute.precompute.sources.spec_text import parse_spec as parse_source
    from lit_precompute.schemas import (
        ColumnSchema,
        DatasetError,
        DatasetWriter,
        EmbeddingDataset,
        SourceFile,
        SourceInfo,
        TableSchema,
        TowerCard,
        captions_table,
        labels_table,
    )
    from lit_precompute.schemas.checking.verification import verify
    from lit_precompute.schemas.sharing.catalog import find_datasets
    from lit_precompute.schemas.sharing.comparing import compare_datasets
    from lit_precompute.schemas.sharing.selecting.options import Criteria
    from lit_precompute.schemas.sharing.selection import Selection
    from lit_precompute.selecting import select
    from lit_precompute.sharing import copy_dataset, export_dataset, import_dataset
    from lit_precompute.towers import layers
    from lit_precompute.towers.contract import Tower
    from lit_precompute.towers.family import Entry, Family, TowerConfig
    from lit_precompute.towers.flax_modules import flax_entry
    from lit_precompute.towers.heads import (
        GatedHeadOptions,
        LinearHeadOptions,
        MLPHeadOptions,
        NoHeadOptions,
        ResidualHeadOptions,
    )
    from lit_precompute.towers.loading import load_tower as load_image_tower
    from lit_precompute.towers.nnx_modules import nnx_function
    from lit_precompute.towers.options import ImageTowerOptions
    from lit_precompute.towers.preprocessing import Preprocessing, Scale, Standardise
    from lit_precompute.towers.registry import register as register_image_tower
    from lit_precompute.towers.registry import tower_names as image_tower_names
    from lit_precompute.towers.text import (
        BertTextOptions,
        StoredTextOptions,
        T5TextOptions,
        TextTowerOptions,
        ViTTextOptions,
        register_text_tower,
    )
    from lit_precompute.towers.tokenizers import HuggingFaceOptions, SentencePieceOptions, WordOptions
    from lit_precompute.towers.weights.links import link
    from lit_precompute.towers.weights.naming import Naming
    from lit_precompute.tune.config.execution import Execution
    from lit_precompute.tune.config.recipe import Recipe
    from lit_precompute.tune.config.starts import start_from
    from lit_precompute.tune.data.options import DataOptions
    from lit_precompute.tune.data.text_options import TextOptions
    from lit_precompute.tune.losses import SigmoidOptions, SoftmaxOptions
    from lit_precompute.tune.model.options import ImageSideOptions, TrainedOptions
    from lit_precompute.tune.model.tuned_model import TunedModel
    from lit_precompute.tune.optimizers import AdafactorOptions, AdamOptions, LionOptions, SideRateOptions
    from lit_precompute.tune.recipes import RECIPES, read_recipe, write_recipe
    from lit_precompute.tuning import retrieval, sweep, train, zero_shot

# Where each name lives: `module:name`, or a module alone for the module itself.
_HOMES = {
    # Embedding datasets
    "EmbeddingDataset": "schemas:EmbeddingDataset",
    "DatasetWriter": "schemas:DatasetWriter",
    "DatasetError": "schemas:DatasetError",
    "TowerCard": "schemas:TowerCard",
    "SourceInfo": "schemas:SourceInfo",
    "SourceFile": "schemas:SourceFile",
    "TableSchema": "schemas:TableSchema",
    "ColumnSchema": "schemas:ColumnSchema",
    "captions_table": "schemas:captions_table",
    "labels_table": "schemas:labels_table",
    "derive": "deriving:derive",
    "DeriveOptions": "precompute.deriving.options:DeriveOptions",
    "EmbedTextsOptions": "precompute.deriving.embedding_texts.options:EmbedTextsOptions",
    "flatten": "deriving:flatten",
    "verify": "schemas.checking.verification:verify",
    "find_datasets": "schemas.sharing.catalog:find_datasets",
    "copy_dataset": "sharing:copy_dataset",
    "compare_datasets": "schemas.sharing.comparing:compare_datasets",
    "import_dataset": "sharing:import_dataset",
    "export_dataset": "sharing:export_dataset",
    "shuffle": "pipelines.shuffle:shuffle",
    "ShuffleOptions": "pipelines.shuffle:ShuffleOptions",
    "deduplicate": "pipelines.deduplicate:deduplicate",
    "DeduplicateOptions": "pipelines.deduplicate:DeduplicateOptions",
    # Selections
    "select": "selecting:select",
    "Criteria": "schemas.sharing.selecting.options:Criteria",
    "Selection": "schemas.sharing.selection:Selection",
    # Image towers
    "load_image_tower": "towers.loading:load_tower",
    "image_tower_names": "towers.registry:tower_names",
    "ImageTowerOptions": "towers.options:ImageTowerOptions",
    # Custom image towers
    "register_image_tower": "towers.registry:register",
    "flax_entry": "towers.flax_modules:flax_entry",
    "Entry": "towers.family:Entry",
    "Family": "towers.family:Family",
    "TowerConfig": "towers.family:TowerConfig",
    "Preprocessing": "towers.preprocessing:Preprocessing",
    "Scale": "towers.preprocessing:Scale",
    "Standardise": "towers.preprocessing:Standardise",
    "Naming": "towers.weights.naming:Naming",
    "link": "towers.weights.links:link",
    "layers": "towers.layers",
    # Embedding
    "embed": "embedding:embed",
    "ChooseOptions": "choosing.options:ChooseOptions",
    "choose_tower": "choosing.choosing:choose_tower",
    "EmbedImages": "pipelines.embed_images:EmbedImages",
    "EmbedOptions": "pipelines.embed.options:EmbedOptions",
    "JaxTowerHandler": "pipelines.embed_images:JaxTowerHandler",
    "DecodingOptions": "precompute.options:DecodingOptions",
    "SourceColumns": "precompute.sources.spec:SourceColumns",
    "SourceSpec": "precompute.sources.spec:SourceSpec",
    "parse_source": "precompute.sources.spec_text:parse_spec",
    # Tuning
    "train": "tuning:train",
    "sweep": "tuning:sweep",
    "Recipe": "tune.config.recipe:Recipe",
    "Execution": "tune.config.execution:Execution",
    "RECIPES": "tune.recipes:RECIPES",
    "read_recipe": "tune.recipes:read_recipe",
    "write_recipe": "tune.recipes:write_recipe",
    # Parts of a recipe
    "DataOptions": "tune.data.options:DataOptions",
    "TextOptions": "tune.data.text_options:TextOptions",
    "HuggingFaceOptions": "towers.tokenizers:HuggingFaceOptions",
    "SentencePieceOptions": "towers.tokenizers:SentencePieceOptions",
    "WordOptions": "towers.tokenizers:WordOptions",
    "StoredTextOptions": "towers.text:StoredTextOptions",
    "ViTTextOptions": "towers.text:ViTTextOptions",
    "BertTextOptions": "towers.text:BertTextOptions",
    "T5TextOptions": "towers.text:T5TextOptions",
    "TrainedOptions": "tune.model.options:TrainedOptions",
    "start_from": "tune.config.starts:start_from",
    "ImageSideOptions": "tune.model.options:ImageSideOptions",
    "SigmoidOptions": "tune.losses:SigmoidOptions",
    "LinearHeadOptions": "towers.heads:LinearHeadOptions",
    "MLPHeadOptions": "towers.heads:MLPHeadOptions",
    "ResidualHeadOptions": "towers.heads:ResidualHeadOptions",
    "GatedHeadOptions": "towers.heads:GatedHeadOptions",
    "NoHeadOptions": "towers.heads:NoHeadOptions",
    "SoftmaxOptions": "tune.losses:SoftmaxOptions",
    "AdafactorOptions": "tune.optimizers:AdafactorOptions",
    "AdamOptions": "tune.optimizers:AdamOptions",
    "LionOptions": "tune.optimizers:LionOptions",
    "SideRateOptions": "tune.optimizers:SideRateOptions",
    # Custom text towers
    "TextTowerOptions": "towers.text:TextTowerOptions",
    "register_text_tower": "towers.text:register_text_tower",
    "Tower": "towers.contract:Tower",
    "nnx_function": "towers.nnx_modules:nnx_function",
    # The tuned model and its evaluation
    "TunedModel": "tune.model.tuned_model:TunedModel",
    "zero_shot": "tuning:zero_shot",
    "retrieval": "tuning:retrieval",
}

__all__ = [
    "RECIPES",
    "AdafactorOptions",
    "AdamOptions",
    "BertTextOptions",
    "ChooseOptions",
    "ColumnSchema",
    "Criteria",
    "DataOptions",
    "DatasetError",
    "DatasetWriter",
    "DecodingOptions",
    "DeduplicateOptions",
    "DeriveOptions",
    "EmbedImages",
    "EmbedOptions",
    "EmbedTextsOptions",
    "EmbeddingDataset",
    "Entry",
    "Execution",
    "Family",
    "GatedHeadOptions",
    "HuggingFaceOptions",
    "ImageSideOptions",
    "ImageTowerOptions",
    "JaxTowerHandler",
    "LinearHeadOptions",
    "LionOptions",
    "MLPHeadOptions",
    "Naming",
    "NoHeadOptions",
    "Preprocessing",
    "Recipe",
    "ResidualHeadOptions",
    "Scale",
    "Selection",
    "SentencePieceOptions",
    "ShuffleOptions",
    "SideRateOptions",
    "SigmoidOptions",
    "SoftmaxOptions",
    "SourceColumns",
    "SourceFile",
    "SourceInfo",
    "SourceSpec",
    "Standardise",
    "StoredTextOptions",
    "T5TextOptions",
    "TableSchema",
    "TextOptions",
    "TextTowerOptions",
    "Tower",
    "TowerCard",
    "TowerConfig",
    "TrainedOptions",
    "TunedModel",
    "ViTTextOptions",
    "WordOptions",
    "captions_table",
    "choose_tower",
    "compare_datasets",
    "copy_dataset",
    "deduplicate",
    "derive",
    "embed",
    "export_dataset",
    "find_datasets",
    "flatten",
    "flax_entry",
    "image_tower_names",
    "import_dataset",
    "labels_table",
    "layers",
    "link",
    "load_image_tower",
    "nnx_function",
    "parse_source",
    "read_recipe",
    "register_image_tower",
    "register_text_tower",
    "retrieval",
    "select",
    "shuffle",
    "start_from",
    "sweep",
    "train",
    "verify",
    "write_recipe",
    "zero_shot",
]


if not TYPE_CHECKING:  # type checkers that see a module `__getattr__` accept any name

    def __getattr__(name: str) -> Any:
        """Loads a public name on first use."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module_name, _, attribute = _HOMES[name].partition(":")
        found = importlib.import_module(f"{__name__}.{module_name}")
        if attribute:
            found = getattr(found, attribute)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
