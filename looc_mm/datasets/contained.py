"""Pictures that are no files of their own, but parts of other files."""

from abc import abstractmethod
from typing import Any

from .broken import ReplaceBroken


class ContainedPictures(ReplaceBroken):
    """A dataset whose pictures are in tables or archives.

    A subclass lists its samples without ``img_path``, and says where a picture is and what its bytes are. The pipeline
    gets them as ``img_path``, a name for messages, and ``img_bytes``.

    Attributes:
        fingerprint: Of the pictures, wherever they are; subclasses set it when they list the samples.
    """

    fingerprint = ''

    @abstractmethod
    def place(self, info: dict[str, Any]) -> str:
        """Where a picture is, for messages, of one of the listed samples."""

    @abstractmethod
    def content(self, info: dict[str, Any]) -> bytes:
        """The bytes of a picture, as a file would have them.

        Raises:
            PictureError: There are none.
        """

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """A sample as it is listed, and ``img_path``, where it is."""
        info = super().get_data_info(idx)
        return {**info, 'img_path': self.place(info)}

    def prepare_data(self, idx: int) -> Any:
        """Read a picture, and run the pipeline."""
        info = self.get_data_info(idx)
        return self.pipeline({**info, 'img_bytes': self.content(info)})
