"""lit-precompute: embed images once with a locked tower, tune text towers on the embeddings as often as you like.

These are the public names; docs/python.md shows each in use. They are loaded on first use, so that `import
lit_precompute` is fast and a trainer never imports what only embedding needs. Everything else may move.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_precompute.deriving import derive as derive
    from lit_precompute.deriving import flatten as flatten
    from lit_precompute.embedding import embed as embed
    from lit_precompute.pipelines.deduplicate import DeduplicateOptions as DeduplicateOptions
    from lit_precompute.pipelines.deduplicate import deduplicate as deduplicate
    from lit_precompute.pipelines.embed.options import EmbedOptions as EmbedOptions
    from lit_precompute.pipelines.embed_images import EmbedImages as EmbedImages
    from lit_precompute.pipelines.embed_images import JaxTowerHandler as JaxTowerHandler
    from lit_precompute.pipelines.shuffle import ShuffleOptions as ShuffleOptions
    from lit_precompute.pipelines.shuffle import shuffle as shuffle
    from lit_precompute.precompute.deriving.options import DeriveOptions as DeriveOptions
    from lit_precompute.precompute.options import DecodingOptions as DecodingOptions
    from lit_precompute.precompute.sources.spec import SourceColumns as SourceColumns
    from lit_precompute.precompute.sources.spec import SourceSpec as SourceSpec
    from lit_precompute.precompute.sources.spec_text import parse_spec as parse_source
    from lit_precompute.schemas import ColumnSchema as ColumnSchema
    from lit_precompute.schemas import DatasetError as DatasetError
    from lit_precompute.schemas import DatasetWriter as DatasetWriter
    from lit_precompute.schemas import EmbeddingDataset as EmbeddingDataset
    from lit_precompute.schemas import SourceFile as SourceFile
    from lit_precompute.schemas import SourceInfo as SourceInfo
    from lit_precompute.schemas import TableSchema as TableSchema
    from lit_precompute.schemas import TowerCard as TowerCard
    from lit_precompute.schemas import captions_table as captions_table
    from lit_precompute.schemas import labels_table as labels_table
    from lit_precompute.schemas.checking.verification import verify as verify
    from lit_precompute.schemas.sharing.catalog import find_datasets as find_datasets
    from lit_precompute.schemas.sharing.comparing import compare_datasets as compare_datasets
    from lit_precompute.schemas.sharing.selecting.options import Criteria as Criteria
    from lit_precompute.schemas.sharing.selection import Selection as Selection
    from lit_precompute.selecting import select as select
    from lit_precompute.sharing import copy_dataset as copy_dataset
    from lit_precompute.sharing import export_dataset as export_dataset
    from lit_precompute.sharing import import_dataset as import_dataset
    from lit_precompute.towers import layers as layers
    from lit_precompute.towers.contract import Tower as Tower
    from lit_precompute.towers.family import Entry as Entry
    from lit_precompute.towers.family import Family as Family
    from lit_precompute.towers.family import TowerConfig as TowerConfig
    from lit_precompute.towers.flax_modules import flax_entry as flax_entry
    from lit_precompute.towers.loading import load_tower as load_image_tower
    from lit_precompute.towers.nnx_modules import nnx_function as nnx_function
    from lit_precompute.towers.options import ImageTowerOptions as ImageTowerOptions
    from lit_precompute.towers.preprocessing import Preprocessing as Preprocessing
    from lit_precompute.towers.preprocessing import Scale as Scale
    from lit_precompute.towers.preprocessing import Standardise as Standardise
    from lit_precompute.towers.registry import register as register_image_tower
    from lit_precompute.towers.registry import tower_names as image_tower_names
    from lit_precompute.towers.text import BertTextOptions as BertTextOptions
    from lit_precompute.towers.text import T5TextOptions as T5TextOptions
    from lit_precompute.towers.text import TextTowerOptions as TextTowerOptions
    from lit_precompute.towers.text import ViTTextOptions as ViTTextOptions
    from lit_precompute.towers.text import register_text_tower as register_text_tower
    from lit_precompute.towers.tokenizers import HuggingFaceOptions as HuggingFaceOptions
    from lit_precompute.towers.tokenizers import SentencePieceOptions as SentencePieceOptions
    from lit_precompute.towers.tokenizers import WordOptions as WordOptions
    from lit_precompute.towers.weights.naming import Naming as Naming
    from lit_precompute.towers.weights.naming import link as link
    from lit_precompute.tune.config.execution import Execution as Execution
    from lit_precompute.tune.config.recipe import Recipe as Recipe
    from lit_precompute.tune.config.starts import start_from as start_from
    from lit_precompute.tune.data.options import DataOptions as DataOptions
    from lit_precompute.tune.data.text_options import TextOptions as TextOptions
    from lit_precompute.tune.losses import SigmoidOptions as SigmoidOptions
    from lit_precompute.tune.losses import SoftmaxOptions as SoftmaxOptions
    from lit_precompute.tune.model.options import ImageSideOptions as ImageSideOptions
    from lit_precompute.tune.model.options import TrainedOptions as TrainedOptions
    from lit_precompute.tune.model.tuned_model import TunedModel as TunedModel
    from lit_precompute.tune.optimizers import AdafactorOptions as AdafactorOptions
    from lit_precompute.tune.optimizers import AdamOptions as AdamOptions
    from lit_precompute.tune.optimizers import LionOptions as LionOptions
    from lit_precompute.tune.optimizers import SideRateOptions as SideRateOptions
    from lit_precompute.tune.recipes import RECIPES as RECIPES
    from lit_precompute.tune.recipes import read_recipe as read_recipe
    from lit_precompute.tune.recipes import write_recipe as write_recipe
    from lit_precompute.tuning import retrieval as retrieval
    from lit_precompute.tuning import sweep as sweep
    from lit_precompute.tuning import train as train
    from lit_precompute.tuning import zero_shot as zero_shot

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
    "link": "towers.weights.naming:link",
    "layers": "towers.layers",
    # Embedding
    "embed": "embedding:embed",
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
    "ViTTextOptions": "towers.text:ViTTextOptions",
    "BertTextOptions": "towers.text:BertTextOptions",
    "T5TextOptions": "towers.text:T5TextOptions",
    "TrainedOptions": "tune.model.options:TrainedOptions",
    "start_from": "tune.config.starts:start_from",
    "ImageSideOptions": "tune.model.options:ImageSideOptions",
    "SigmoidOptions": "tune.losses:SigmoidOptions",
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
    "EmbeddingDataset",
    "Entry",
    "Execution",
    "Family",
    "HuggingFaceOptions",
    "ImageSideOptions",
    "ImageTowerOptions",
    "JaxTowerHandler",
    "LionOptions",
    "Naming",
    "Preprocessing",
    "Recipe",
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
