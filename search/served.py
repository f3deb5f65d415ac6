"""What a registered model runs: MLflow's "models from code". This file goes into the model and nothing imports it.

It needs torch, pandas and MLflow, and nothing of this repository.
"""

import warnings

import mlflow
import numpy as np
import pandas as pd

_BATCH = 1000
"""Examples at a time: what bounds the memory that the graph takes."""


class Classifier(mlflow.pyfunc.PythonModel):
    """Class probabilities by an exported graph."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Loads the graph and the names of the classes."""
        import torch

        self.classes: list[str] = context.model_config["classes"]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given buffer is not writable")  # torch's, on its own
            self.graph = torch.export.load(context.artifacts["graph"]).module()

    def predict(self, context: mlflow.pyfunc.PythonModelContext, model_input: np.ndarray) -> pd.DataFrame:
        """A row an example: ``class``, its ``probability``, and ``p_<class>``, the probability of each class."""
        import torch

        batches = [model_input[start : start + _BATCH] for start in range(0, len(model_input), _BATCH)]
        with torch.no_grad():
            found = [self.graph(torch.tensor(batch)).double().numpy() for batch in batches]
        probabilities = np.concatenate(found) if found else np.empty((0, len(self.classes)))
        best = probabilities.argmax(1)
        rows = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in self.classes])
        rows.insert(0, "class", [self.classes[place] for place in best])
        rows.insert(1, "probability", probabilities.max(1))
        return rows


mlflow.models.set_model(Classifier())
