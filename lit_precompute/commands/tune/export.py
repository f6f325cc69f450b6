"""`lit-tune export`: writes a tuned model's text tower in the files of another program."""

import dataclasses
from typing import Annotated, Literal

import rich.console
import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Writes a tuned model's text tower in the files of another program.

    What was written is read back and must give the same embeddings, to the bit. For example:

      lit-tune export runs/first/model --output first-siglip
      lit-tune export runs/first/model --output first-npz --names big_vision
    """

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """The tuned model: a folder that lit-tune wrote."""
    output: str
    """Where to write: a folder that does not exist, or is empty."""
    names: Literal["transformers", "big_vision"] = "transformers"
    """Whose files: a folder that transformers opens, or big_vision's .npz."""

    def run(self, console: rich.console.Console) -> None:
        """Writes the files and says which.

        Raises:
          ValueError: no such model, or one that the other program has no names for.
        """
        # Imported late: JAX takes a second, and --help does not need it.
        from lit_precompute.tune.model.exporting import export_model
        from lit_precompute.tune.model.tuned_model import TunedModel

        model = TunedModel.load(self.model)
        exported = export_model(model, self.output, self.names)
        console.print(f"{self.output}: {', '.join(exported.files)}; read back, the embeddings are the same to the bit")
        for note in exported.notes:
            console.print(note)
