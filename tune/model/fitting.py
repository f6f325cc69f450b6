"""Whether a tuned model fits a dataset, and datasets fit each other: all must be of one image network."""

from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.tune.model.tuned_model_files import TunedModelError


def check_same_network(dataset: EmbeddingDataset, own: TowerCard) -> None:
    """Raises TunedModelError unless the dataset's tower is the network of this card; `TunedModel.check_goes_with`."""
    tower = dataset.tower
    if tower.fingerprint == own.fingerprint:
        return
    table = table_of_network(dataset, own)
    other = "" if table is None else f"Its table '{table}' is of the model's tower: give --table {table}"
    if tower.is_declared or own.is_declared:
        raise TunedModelError(
            f"{dataset.path}: its tower '{tower.name}' cannot be compared with the model's, '{own.name}': "
            f"{tower.caution or own.caution}. {other or 'Tune and evaluate on datasets of one declaration'}"
        )
    if tower.model_identity is None or own.model_identity is None:
        raise TunedModelError(
            f"{dataset.path}: its tower has the fingerprint {tower.fingerprint} ('{tower.name}'), the model was "
            f"tuned on {own.fingerprint} ('{own.name}'). "
            + (other or "Embed the images with that tower, with the same weights and resolution")
        )
    if tower.model_identity != own.model_identity:
        raise TunedModelError(
            f"{dataset.path}: its tower '{tower.name}' is not the one that the model was tuned on, '{own.name}': "
            f"{_differences(tower, own, 'the model')}. "
            + (other or "Embed the images with that tower and the same weights")
        )


def table_of_network(dataset: EmbeddingDataset, own: TowerCard) -> str | None:
    """Returns the dataset's table of embeddings that are of this card's network, or None if it has none.

    Of several, one of an equal fingerprint comes before those of another resolution or preprocessing; then the opened
    one before the others.
    """
    towers = dataset.manifest.towers
    tables = [dataset.embeddings, *towers]
    same_network = [table for table in tables if why_another_network(towers[table], own) is None]
    interchangeable = [table for table in same_network if towers[table].fingerprint == own.fingerprint]
    return next(iter(interchangeable + same_network), None)


def why_another_network(tower: TowerCard, first: TowerCard) -> str | None:
    """Returns why a dataset's tower does not count as the network of the first dataset's, in words, or None if it does.

    Cards that do not identify their networks, declared ones among them, count as one network if the fingerprints agree.
    """
    if tower.fingerprint == first.fingerprint:
        return None
    if tower.model_identity is None or first.model_identity is None:
        caution = tower.caution or first.caution
        return (
            f"its tower '{tower.name}' has the fingerprint {tower.fingerprint}, the first dataset's, '{first.name}', "
            f"has {first.fingerprint}" + (f" ({caution})" if caution else "")
        )
    if tower.model_identity == first.model_identity:
        return None
    return (
        f"its tower '{tower.name}' is not the first dataset's, '{first.name}': "
        f"{_differences(tower, first, 'the first dataset')}"
    )


def _differences(tower: TowerCard, own: TowerCard, whose: str) -> str:
    """Returns what makes two towers different networks, with both values."""
    differences = tower.identity_differences(own)
    return "; ".join(f"{name} is {theirs!r}, {whose}'s is {mine!r}" for name, (theirs, mine) in differences.items())
