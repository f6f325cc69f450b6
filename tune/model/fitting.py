"""Whether a tuned model fits a dataset: both must be of one image network."""

from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.tune.model.tuned_model_files import TunedModelError


def check_same_network(dataset: EmbeddingDataset, own: TowerCard) -> None:
    """Raises TunedModelError unless the dataset's tower is the network of this card; `TunedModel.check_goes_with`."""
    tower = dataset.manifest.tower
    if tower.fingerprint == own.fingerprint:
        return
    if tower.is_declared or own.is_declared:
        raise TunedModelError(
            f"{dataset.path}: its tower '{tower.name}' cannot be compared with the model's, '{own.name}': "
            f"{tower.caution or own.caution}. Tune and evaluate on datasets of one declaration"
        )
    if tower.model_identity is None or own.model_identity is None:
        raise TunedModelError(
            f"{dataset.path}: its tower has the fingerprint {tower.fingerprint} ('{tower.name}'), the model was "
            f"tuned on {own.fingerprint} ('{own.name}'): embed the images with that tower, with the same weights "
            "and resolution"
        )
    if tower.model_identity != own.model_identity:
        differences = tower.identity_differences(own)
        words = [f"{name} is {theirs!r}, the model's is {mine!r}" for name, (theirs, mine) in differences.items()]
        raise TunedModelError(
            f"{dataset.path}: its tower '{tower.name}' is not the one that the model was tuned on, '{own.name}': "
            f"{'; '.join(words)}. Embed the images with that tower and the same weights"
        )
