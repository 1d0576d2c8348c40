/* The two inner loops of countenance.face.rasterizer. See that module for axes, winding and background.
 *
 * Arrays come in through the buffer protocol, so no numpy headers are needed and one binary serves all
 * CPythons from 3.11 on. The caller has checked types; this file checks every length and index itself,
 * so that no argument can make it read or write outside a buffer. */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>

typedef struct {
    const float *vertices;
    Py_ssize_t vertex_count;
    const int32_t *triangles;
    Py_ssize_t triangle_count;
} Mesh;

typedef struct {
    Py_ssize_t height, width;
    int32_t *triangle_index;
    float *barycentric;
    float *depth;
} Image;

/* weight(x, y) = dx * (y - ay) - dy * (x - ax) is positive inside the triangle. */
typedef struct {
    double ax, ay, dx, dy;
    double lowest; /* a pixel is inside where weight > lowest */
} Edge;

/* Two triangles that share an edge must get weights that are each other's exact negative, or a pixel
 * centre near the edge could be drawn twice or never. So the edge always starts at the same end. The
 * form above is moreover exactly zero at both ends, which keeps fans around a vertex whole. */
static Edge edge_between(const float *a, const float *b, double sign)
{
    if (b[1] < a[1] || (b[1] == a[1] && b[0] < a[0])) {
        const float *other = a;
        a = b;
        b = other;
        sign = -sign;
    }
    Edge edge = {a[0], a[1], sign * ((double)b[0] - a[0]), sign * ((double)b[1] - a[1]), 0.0};
    /* Top-left rule: a centre on the edge counts if the inside lies to its right, or straight below.
     * Weights of float coordinates are 0 or far above DBL_MIN, so "> -DBL_MIN" means ">= 0". */
    int is_left = edge.dy < 0.0;
    int is_top = edge.dy == 0.0 && edge.dx > 0.0;
    edge.lowest = is_left || is_top ? -DBL_MIN : 0.0;
    return edge;
}

static int is_finite_vertex(const float *v)
{
    return isfinite(v[0]) && isfinite(v[1]) && isfinite(v[2]);
}

/* First pixel whose centre is at or beyond a coordinate, within 0..count. */
static Py_ssize_t first_centre_from(double coordinate, Py_ssize_t count)
{
    double first = ceil(coordinate - 0.5);
    return first <= 0.0 ? 0 : first >= (double)count ? count : (Py_ssize_t)first;
}

static double min3(double a, double b, double c) { return fmin(a, fmin(b, c)); }
static double max3(double a, double b, double c) { return fmax(a, fmax(b, c)); }

static void draw_triangle(Image *image, int32_t number, const float *a, const float *b, const float *c,
                          int cull_back_faces)
{
    if (!is_finite_vertex(a) || !is_finite_vertex(b) || !is_finite_vertex(c))
        return;
    double area = ((double)b[0] - a[0]) * ((double)c[1] - a[1]) - ((double)b[1] - a[1]) * ((double)c[0] - a[0]);
    /* y points down, so a triangle that looks counter-clockwise (front) has a negative area here. */
    if (area == 0.0 || (cull_back_faces && area > 0.0))
        return;
    double sign = area > 0.0 ? 1.0 : -1.0;
    /* Edge k lies opposite to vertex k: its weight is that vertex's share. */
    const Edge e0 = edge_between(b, c, sign), e1 = edge_between(c, a, sign), e2 = edge_between(a, b, sign);

    Py_ssize_t left = first_centre_from(min3(a[0], b[0], c[0]), image->width);
    Py_ssize_t top = first_centre_from(min3(a[1], b[1], c[1]), image->height);
    /* One more, as a centre on the far side of the box can still be inside by the rule above. */
    Py_ssize_t right = first_centre_from(max3(a[0], b[0], c[0]) + 1.0, image->width);
    Py_ssize_t bottom = first_centre_from(max3(a[1], b[1], c[1]) + 1.0, image->height);

    for (Py_ssize_t row = top; row < bottom; row++) {
        double y = (double)row + 0.5;
        double y0 = e0.dx * (y - e0.ay), y1 = e1.dx * (y - e1.ay), y2 = e2.dx * (y - e2.ay);
        int was_inside = 0;
        for (Py_ssize_t column = left; column < right; column++) {
            double x = (double)column + 0.5;
            double w0 = y0 - e0.dy * (x - e0.ax);
            double w1 = y1 - e1.dy * (x - e1.ax);
            double w2 = y2 - e2.dy * (x - e2.ax);
            if (!((w0 > e0.lowest) & (w1 > e1.lowest) & (w2 > e2.lowest))) {
                if (was_inside)
                    break;
                continue;
            }
            was_inside = 1;
            /* The sum, not the area: it makes the shares add up to 1 whatever the rounding. */
            double whole = 1.0 / (w0 + w1 + w2);
            double b0 = w0 * whole, b1 = w1 * whole, b2 = w2 * whole;
            float depth = (float)(b0 * a[2] + b1 * b[2] + b2 * c[2]);
            Py_ssize_t pixel = row * image->width + column;
            if (!(depth > image->depth[pixel]))
                continue;
            image->depth[pixel] = depth;
            image->triangle_index[pixel] = number;
            image->barycentric[3 * pixel] = (float)b0;
            image->barycentric[3 * pixel + 1] = (float)b1;
            image->barycentric[3 * pixel + 2] = (float)b2;
        }
    }
}

static void clear(Image *image)
{
    Py_ssize_t pixels = image->height * image->width;
    for (Py_ssize_t i = 0; i < pixels; i++)
        image->triangle_index[i] = -1;
    for (Py_ssize_t i = 0; i < pixels; i++)
        image->depth[i] = -INFINITY;
    for (Py_ssize_t i = 0; i < 3 * pixels; i++)
        image->barycentric[i] = 0.0f;
}

/* Returns the number of the first triangle that names a vertex which is not there, or -1. */
static Py_ssize_t draw_mesh(const Mesh *mesh, Image *image, int cull_back_faces)
{
    clear(image);
    for (Py_ssize_t t = 0; t < mesh->triangle_count; t++) {
        const float *corner[3];
        for (int k = 0; k < 3; k++) {
            int32_t index = mesh->triangles[3 * t + k];
            if (index < 0 || index >= mesh->vertex_count)
                return t;
            corner[k] = mesh->vertices + 3 * (Py_ssize_t)index;
        }
        draw_triangle(image, (int32_t)t, corner[0], corner[1], corner[2], cull_back_faces);
    }
    return -1;
}

static PyObject *rasterize(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer vertices, triangles, index, barycentric, depth;
    Py_ssize_t height, width;
    int cull_back_faces;
    if (!PyArg_ParseTuple(args, "y*y*nnpw*w*w*:rasterize", &vertices, &triangles, &height, &width,
                          &cull_back_faces, &index, &barycentric, &depth))
        return NULL;

    const Py_ssize_t vertex_bytes = 3 * sizeof(float), triangle_bytes = 3 * sizeof(int32_t);
    Py_ssize_t pixels = depth.len / (Py_ssize_t)sizeof(float);
    int fits = height > 0 && width > 0 && pixels / height == width && pixels % height == 0 &&
               depth.len % (Py_ssize_t)sizeof(float) == 0 && index.len == depth.len &&
               barycentric.len == 3 * depth.len && vertices.len % vertex_bytes == 0 &&
               triangles.len % triangle_bytes == 0 && triangles.len / triangle_bytes <= INT32_MAX;
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "the lengths of the arrays do not fit each other");
    } else {
        Mesh mesh = {vertices.buf, vertices.len / vertex_bytes, triangles.buf, triangles.len / triangle_bytes};
        Image image = {height, width, index.buf, barycentric.buf, depth.buf};
        Py_ssize_t bad;
        Py_BEGIN_ALLOW_THREADS
        bad = draw_mesh(&mesh, &image, cull_back_faces);
        Py_END_ALLOW_THREADS
        if (bad >= 0)
            PyErr_Format(PyExc_ValueError, "triangle %zd names a vertex that is not there", bad);
    }
    PyBuffer_Release(&vertices);
    PyBuffer_Release(&triangles);
    PyBuffer_Release(&index);
    PyBuffer_Release(&barycentric);
    PyBuffer_Release(&depth);
    if (PyErr_Occurred())
        return NULL;
    return Py_NewRef(Py_None);
}

/* Returns the first pixel whose triangle, or a vertex of it, is not there, or -1. */
static Py_ssize_t interpolate_pixels(const int32_t *triangle_index, const float *barycentric, Py_ssize_t pixels,
                                     const int32_t *triangles, Py_ssize_t triangle_count,
                                     const float *attributes, Py_ssize_t vertex_count, Py_ssize_t channels,
                                     float *out)
{
    for (Py_ssize_t pixel = 0; pixel < pixels; pixel++, out += channels) {
        int32_t number = triangle_index[pixel];
        if (number < 0) {
            for (Py_ssize_t k = 0; k < channels; k++)
                out[k] = 0.0f;
            continue;
        }
        if (number >= triangle_count)
            return pixel;
        const int32_t *corner = triangles + 3 * (Py_ssize_t)number;
        int32_t i0 = corner[0], i1 = corner[1], i2 = corner[2];
        if (i0 < 0 || i0 >= vertex_count || i1 < 0 || i1 >= vertex_count || i2 < 0 || i2 >= vertex_count)
            return pixel;
        const float *a = attributes + i0 * channels, *b = attributes + i1 * channels, *c = attributes + i2 * channels;
        float b0 = barycentric[3 * pixel], b1 = barycentric[3 * pixel + 1], b2 = barycentric[3 * pixel + 2];
        for (Py_ssize_t k = 0; k < channels; k++)
            out[k] = b0 * a[k] + b1 * b[k] + b2 * c[k];
    }
    return -1;
}

static PyObject *interpolate(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer index, barycentric, triangles, attributes, out;
    Py_ssize_t channels;
    if (!PyArg_ParseTuple(args, "y*y*y*y*nw*:interpolate", &index, &barycentric, &triangles, &attributes, &channels,
                          &out))
        return NULL;

    const Py_ssize_t cell = sizeof(float), triangle_bytes = 3 * sizeof(int32_t);
    Py_ssize_t pixels = index.len / (Py_ssize_t)sizeof(int32_t);
    Py_ssize_t values = out.len / cell, numbers = attributes.len / cell;
    int fits = channels > 0 && index.len % cell == 0 && barycentric.len == 3 * index.len && out.len % cell == 0 &&
               values % channels == 0 && values / channels == pixels && attributes.len % cell == 0 &&
               numbers % channels == 0 && triangles.len % triangle_bytes == 0;
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "the lengths of the arrays do not fit each other");
    } else {
        Py_ssize_t bad;
        Py_BEGIN_ALLOW_THREADS
        bad = interpolate_pixels(index.buf, barycentric.buf, pixels, triangles.buf, triangles.len / triangle_bytes,
                                 attributes.buf, numbers / channels, channels, out.buf);
        Py_END_ALLOW_THREADS
        if (bad >= 0)
            PyErr_Format(PyExc_ValueError, "pixel %zd names a triangle or vertex that is not there", bad);
    }
    PyBuffer_Release(&index);
    PyBuffer_Release(&barycentric);
    PyBuffer_Release(&triangles);
    PyBuffer_Release(&attributes);
    PyBuffer_Release(&out);
    if (PyErr_Occurred())
        return NULL;
    return Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
    {"rasterize", rasterize, METH_VARARGS,
     "rasterize(vertices, triangles, height, width, cull_back_faces, index_out, barycentric_out, depth_out)"},
    {"interpolate", interpolate, METH_VARARGS,
     "interpolate(triangle_index, barycentric, triangles, attributes, channels, out)"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_rasterizer",
    .m_doc = "Inner loops of countenance.face.rasterizer.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__rasterizer(void) { return PyModuleDef_Init(&definition); }
