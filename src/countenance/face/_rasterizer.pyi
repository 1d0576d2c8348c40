from countenance.arrays import Floats, Indices

def rasterize(
    vertices: Floats,
    triangles: Indices,
    height: int,
    width: int,
    cull_back_faces: bool,
    index_out: Indices,
    barycentric_out: Floats,
    depth_out: Floats,
    /,
) -> None: ...
def interpolate(
    triangle_index: Indices,
    barycentric: Floats,
    triangles: Indices,
    attributes: Floats,
    channels: int,
    out: Floats,
    /,
) -> None: ...
