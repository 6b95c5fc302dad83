"""Event files, as TensorBoard reads them, written by its own package: one folder, one run there."""

from __future__ import annotations

import io
import os
import time
from typing import Any

import numpy as np

from ..system.extras import extra

_BUCKETS = 30


def _part(name: str) -> Any:
    return extra(f"tensorboard.{name}", "tensorboard", "TensorBoard")


class Events:
    """Write scalars, histograms, pictures, texts and hyper-parameters of one run.

    Args:
        folder: of the run; made if it is not there.
        step: what an earlier process wrote there of this step, and of those after it, is not shown any more.

    Raises:
        ImportError: TensorBoard is not installed: ``pip install "cunet[tensorboard]"``.
    """

    def __init__(self, folder: str | os.PathLike[str], step: int) -> None:
        self._event = _part("compat.proto.event_pb2")
        self._summary = _part("compat.proto.summary_pb2").Summary
        self._tensor = _part("util.tensor_util").make_tensor_proto
        self._writer = _part("summary.writer.event_file_writer").EventFileWriter(os.fspath(folder))
        log = self._event.SessionLog
        self._writer.add_event(self._event.Event(wall_time=time.time(), step=step, session_log=log(status=log.START)))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        self._add("scalar", tag, self._tensor(np.float32(value)), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Write how values are distributed; what is not finite is left out."""
        flat = values.astype(np.float64).ravel()
        flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        low, high = flat.min(), flat.max()
        if high - low > 2 * _BUCKETS * np.spacing(max(abs(low), abs(high))):
            counts, edges = np.histogram(flat, _BUCKETS)
        else:
            counts, edges = np.array([flat.size]), np.array([low, high])
        buckets = np.stack([edges[:-1], edges[1:], counts.astype(np.float64)], axis=1)
        self._add("histogram", tag, self._tensor(buckets), step)

    def picture(self, tag: str, values: np.ndarray, step: int) -> None:
        """Write a picture (H, W) or (H, W, 3) of values from 0 to 1."""
        image = extra("PIL.Image", "tensorboard", "TensorBoard")
        file = io.BytesIO()
        image.fromarray((np.clip(np.nan_to_num(values, nan=1.0), 0, 1) * 255).astype(np.uint8)).save(file, "PNG")
        height, width = values.shape[:2]
        parts = np.array([str(width).encode(), str(height).encode(), file.getvalue()], dtype=object)
        self._add("image", tag, self._tensor(parts), step)

    def text(self, tag: str, markdown: str, step: int) -> None:
        """Write a text."""
        self._add("text", tag, self._tensor(np.array(markdown.encode(), dtype=object)), step)

    def settings(self, values: dict[str, Any]) -> None:
        """Write hyper-parameters: numbers, flags and strings by name."""
        kept = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in values.items()}
        self._write(_part("plugins.hparams.summary_v2").hparams_pb(kept), 0)

    def flush(self) -> None:
        """Have all that was written on the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Write no more."""
        self._writer.close()

    def _add(self, kind: str, tag: str, tensor: Any, step: int) -> None:
        metadata = _part(f"plugins.{kind}.metadata").create_summary_metadata(display_name=None, description=None)
        self._write(self._summary(value=[self._summary.Value(tag=tag, tensor=tensor, metadata=metadata)]), step)

    def _write(self, summary: Any, step: int) -> None:
        self._writer.add_event(self._event.Event(wall_time=time.time(), step=step, summary=summary))
