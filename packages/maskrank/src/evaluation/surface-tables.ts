// Sizes of the surface pieces that a 2 x 2 (contour length) or 2 x 2 x 2 (surface area) neighbourhood of a mask contains,
// as in google-deepmind/surface-distance: its 2-D rule, and its marching-cubes areas regenerated from a rule of our own
// that gives the same area for all 256 neighbourhoods at any spacing.
// Not here: where the neighbourhoods lie (surface-elements.ts), normals with a sign (areas never need it).

/** Neighbourhood bits in 2-D: top left 8, top right 4, bottom left 2, bottom right 1. */
export const FULL_CODE_2D = 15;

/** Neighbourhood bits in 3-D, index order (slice, row, column): (0,0,0) 128, (0,0,1) 64, ... (1,1,1) 1. */
export const FULL_CODE_3D = 255;

/**
 * Contour length of each of the 16 neighbourhoods. Cut corners count half a diagonal, straight pieces a whole side.
 *
 * @param spacing pixel height and width (row spacing first), e.g. in mm; the lengths have the same unit
 */
export function contourLengths(spacing: readonly [number, number]): Float64Array {
  const [height, width] = spacing;
  const corner = 0.5 * Math.sqrt(height * height + width * width);
  const lengths = new Float64Array(16);
  for (const code of [1, 2, 4, 8, 7, 11, 13, 14]) lengths[code] = corner;
  for (const code of [3, 12]) lengths[code] = width;
  for (const code of [5, 10]) lengths[code] = height;
  for (const code of [6, 9]) lengths[code] = 2 * corner;
  return lengths;
}

/**
 * Surface area of each of the 256 neighbourhoods.
 *
 * @param spacing voxel size by axis (slice, row, column), e.g. in mm; the areas have its unit squared
 */
export function surfaceAreas(spacing: readonly [number, number, number]): Float64Array {
  const [s0, s1, s2] = spacing;
  triangleTable ??= Array.from({ length: 256 }, (_, code) => trianglesOf(code));
  return Float64Array.from(triangleTable, (triangles) =>
    triangles.reduce((area, [n0, n1, n2]) => area + Math.hypot(n0 * s1 * s2, n1 * s0 * s2, n2 * s0 * s1), 0),
  );
}

/** Area vector of a triangle at spacing 1 (normal times area). */
type AreaVector = readonly [number, number, number];
type Vertex = readonly [number, number, number];

let triangleTable: AreaVector[][] | undefined;

const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7];
const cornerAt = (corner: number): Vertex => [corner >> 2, (corner >> 1) & 1, corner & 1];
const cornerBit = (corner: number): number => 128 >> corner;
const isEdge = (a: number, b: number): boolean => [1, 2, 4].includes(a ^ b);

/**
 * The rule: take whichever of mask and background has fewer corners (the mask when both have four), cut off each group
 * of corners connected by cube edges with one closed loop through the midpoints of the cut edges, and triangulate each
 * loop. Two kinds of loop are not flat (around three corners in an L, around four in a zigzag); of their triangulations
 * those with the largest area at spacing 1 are the reference's, and they all have the same triangles up to signs.
 */
function trianglesOf(code: number): AreaVector[] {
  const inside = CORNERS.filter((c) => (code & cornerBit(c)) !== 0);
  const minority = inside.length <= 4 ? inside : CORNERS.filter((c) => !inside.includes(c));
  return groupsOf(minority).flatMap((group) => largestTriangulation(loopAround(group)));
}

/** Groups of corners connected by edges of the cube. */
function groupsOf(corners: readonly number[]): number[][] {
  const groups: number[][] = [];
  for (const corner of corners) {
    const touching = groups.filter((group) => group.some((c) => isEdge(c, corner)));
    const rest = groups.filter((group) => !touching.includes(group));
    groups.splice(0, groups.length, ...rest, [...touching.flat(), corner]);
  }
  return groups;
}

/** Midpoints of the edges that leave a group, in order: neighbours in the loop lie on a common face of the cube. */
function loopAround(group: readonly number[]): Vertex[] {
  const cut = group.flatMap((from) =>
    CORNERS.filter((to) => isEdge(from, to) && !group.includes(to)).map((to) => ({ from, to })),
  );
  const onCommonFace = (a: (typeof cut)[number], b: (typeof cut)[number]): boolean =>
    [4, 2, 1].some((axis) => [a.to, b.from, b.to].every((c) => (c & axis) === (a.from & axis)));
  const loop = cut.splice(0, 1);
  while (cut.length > 0) {
    const last = loop.at(-1)!;
    const next = cut.findIndex((edge) => onCommonFace(last, edge));
    loop.push(...cut.splice(next, 1));
  }
  return loop.map(({ from, to }) => {
    const [a, b] = [cornerAt(from), cornerAt(to)];
    return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2];
  });
}

function largestTriangulation(loop: readonly Vertex[]): AreaVector[] {
  const area = (triangles: readonly AreaVector[]) => triangles.reduce((sum, n) => sum + Math.hypot(...n), 0);
  return triangulations(loop).reduce((best, next) => (area(next) > area(best) + 1e-9 ? next : best));
}

/** All triangulations of a loop without new vertices: the triangle on the closing edge, times those of both sides. */
function triangulations(loop: readonly Vertex[]): AreaVector[][] {
  if (loop.length < 3) return [[]];
  const [first, last] = [loop[0]!, loop.at(-1)!];
  return loop.slice(1, -1).flatMap((apex, i) => {
    const triangle = areaVector(first, apex, last);
    const left = triangulations(loop.slice(0, i + 2));
    const right = triangulations(loop.slice(i + 1));
    return left.flatMap((l) => right.map((r) => [triangle, ...l, ...r]));
  });
}

/** Half the cross product of two sides. */
function areaVector(a: Vertex, b: Vertex, c: Vertex): AreaVector {
  const [u0, u1, u2] = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
  const [v0, v1, v2] = [c[0] - a[0], c[1] - a[1], c[2] - a[2]];
  return [(u1 * v2 - u2 * v1) / 2, (u2 * v0 - u0 * v2) / 2, (u0 * v1 - u1 * v0) / 2];
}
