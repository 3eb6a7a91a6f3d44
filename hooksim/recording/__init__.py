"""Recordings: the rows of one model for a list of samples, kept in memory or on disk."""

from hooksim.recording.batches import recorded_batches
from hooksim.recording.reader import RecordingReader, layers_for_other_recording
from hooksim.recording.record import record
from hooksim.recording.recorder import Recorder
from hooksim.recording.recording import Recording

__all__ = [
    "Recorder",
    "Recording",
    "RecordingReader",
    "layers_for_other_recording",
    "record",
    "recorded_batches",
]
