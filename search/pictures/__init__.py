"""Pictures of a search, PNG files for its report. Colours are Okabe and Ito's, and never alone in saying something."""

from search.pictures.confusion import confusion
from search.pictures.curves import curves
from search.pictures.data import data, shows_pictures
from search.pictures.embedding import FEWEST_EMBEDDED, embedded, embedding
from search.pictures.examples import examples
from search.pictures.families import families
from search.pictures.importances import importances
from search.pictures.labelled import Augmentation, shown
from search.pictures.progress import best_so_far
from search.pictures.regions import Points, grid, regions
from search.pictures.tested import tested_curves

__all__ = [
    "FEWEST_EMBEDDED",
    "Augmentation",
    "Points",
    "best_so_far",
    "confusion",
    "curves",
    "data",
    "embedded",
    "embedding",
    "examples",
    "families",
    "grid",
    "importances",
    "regions",
    "shown",
    "shows_pictures",
    "tested_curves",
]
