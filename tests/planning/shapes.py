"""Shapes of models that nobody built."""

from harness.planning.model_shape import Shape


def shape_with(p: int, outputs: int = 1) -> Shape:
    """The shape of a model of `p` parameters."""
    return Shape(
        p=p,
        p_frozen=0,
        input_shape=(4,),
        outputs=outputs,
        flops_per_sample=1,
        pass_flops_per_sample=0,
        saved_bytes_per_sample=1,
        sizes=(),
        family="",
        kind="linear",
    )
