"""Prints what TensorBoard itself reads from a log folder, as JSON."""
import json
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

KEEP_ALL = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}
events = EventAccumulator(sys.argv[1], size_guidance=KEEP_ALL).Reload()
tags = events.Tags()


def text(event):
    return tensor_util.make_ndarray(event.tensor_proto).reshape(-1)[0].decode("utf-8")


json.dump(
    {
        "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "images": {
            tag: [[e.step, e.width, e.height, e.encoded_image_string[1:4].decode()] for e in events.Images(tag)]
            for tag in tags["images"]
        },
        "histograms": {
            tag: [
                [e.step, e.histogram_value.num, e.histogram_value.bucket_limit, e.histogram_value.bucket]
                for e in events.Histograms(tag)
            ]
            for tag in tags["histograms"]
        },
        "texts": {
            tag: [[e.step, text(e), events.SummaryMetadata(tag).plugin_data.plugin_name] for e in events.Tensors(tag)]
            for tag in tags["tensors"]
        },
    },
    sys.stdout,
)
