"""The losses from their definitions, over the whole matrix in float64, pair by pair; and gradients by differences."""

import numpy as np


def kept_pairs(present, ids):
    """Returns [images, images, texts of each]: whether image i is contrasted with text k of image j."""
    num_images, num_texts = present.shape
    kept = np.zeros((num_images, num_images, num_texts), bool)
    for i in range(num_images):
        own = {ids[i, k] for k in range(num_texts) if present[i, k]}
        for j in range(num_images):
            for k in range(num_texts):
                kept[i, j, k] = own and present[j, k] and (i == j or ids[j, k] not in own)
    return kept


def logits_of(images, texts, log_scale, shape):
    """Returns the scaled similarities, laid out as the pairs are."""
    return (np.exp(log_scale) * images @ texts.T).reshape(len(images), *shape)


def softmax_loss(images, texts, log_scale, present, ids):
    """Returns half the mean over texts and half the mean over images of the cross-entropies; 0 without any text."""
    kept, logits = kept_pairs(present, ids), logits_of(images, texts, log_scale, present.shape)
    of_texts, of_images = [], []
    for i, own in enumerate(present):
        for k in np.flatnonzero(own):
            of_texts.append(_log_sum_exp(logits[:, i, k][kept[:, i, k]]) - logits[i, i, k])
        if own.any():
            log_sum = _log_sum_exp(logits[i][kept[i]])
            of_images.append(np.mean([log_sum - logits[i, i, k] for k in np.flatnonzero(own)]))
    return (np.mean(of_texts) + np.mean(of_images)) / 2 if of_images else 0.0


def sigmoid_loss(images, texts, log_scale, bias, present, ids):
    """Returns the sum of all binary cross-entropies over the number of images that have a text; 0 without any."""
    kept, logits = kept_pairs(present, ids), logits_of(images, texts, log_scale, present.shape) + bias
    signs = np.where(np.eye(len(images), dtype=bool), 1, -1)[:, :, None]
    losses = np.logaddexp(0, -signs * logits)
    return losses[kept].sum() / max(present.any(axis=1).sum(), 1)


def differences(function, *arguments, step=1e-5):
    """Returns the gradient of each argument, an array or a number, by central differences."""
    gradients = []
    for number, argument in enumerate(arguments):
        values = np.array(argument, np.float64)
        gradient = np.zeros(values.shape)
        for place in np.ndindex(values.shape):
            found = []
            for sign in (1, -1):
                moved = values.copy()
                moved[place] += sign * step
                found.append(function(*arguments[:number], moved, *arguments[number + 1 :]))
            gradient[place] = (found[0] - found[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


def _log_sum_exp(values):
    return values.max() + np.log(np.exp(values - values.max()).sum())
